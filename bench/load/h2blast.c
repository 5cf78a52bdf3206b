// h2blast: a gRPC load generator that costs little, so that it is the server that is measured.
//
//   h2blast PORT PATH FILE key=value...
//
// Sends prebuilt requests to 127.0.0.1:PORT over plaintext HTTP/2 and prints one JSON object. Keys:
//   conns=1      connections
//   inflight=64  calls under way in all (closed loop), or batches under way (mode=stream)
//   rate=0       calls a second in all, Poisson arrivals (open loop); 0 is a closed loop
//   seconds=2    measured time, after
//   warm=0.5     seconds that are not measured
//   mode=unary   unary: a call a request; stream: one bidirectional stream a connection, a message a request
//   seed=1       of the arrivals
//
// FILE: u32 count, then for each request: u32 message length, u32 decisions in it, u32 patches, that many u32 offsets, the
// message. All little-endian. At every offset 16 bytes are overwritten with the hexadecimal digits of a counter: request ids,
// which must not repeat.
//
// Latencies run from the arrival (open loop) or the sending (closed loop) of a call to its trailers. A call counts as answered
// when its grpc-status is 0 and it had a message; everything else is an error. Header fields go out as literals without
// indexing; those of the server are decoded with its dynamic table.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static void die(const char *what) {
  fprintf(stderr, "h2blast: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  exit(1);
}

static void *need(void *p) {
  if (!p) die("out of memory");
  return p;
}

static u64 now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static u64 random_state = 1;
static double uniform(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return ((random_state >> 11) + 1) * 0x1.0p-53;
}

// ---- HPACK, decoding only -------------------------------------------------------------------------------------------

// Lengths of the codes of RFC 7541 appendix B for the characters that header fields are made of. Codes are canonical: in the
// order of length, then of symbol.
static const u8 huffman_length[128] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,  5,  5,  5,  6,
    6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,  15, 5,  6,  5,  6,  5,  6,  6,
    6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28};
static u32 huffman_first[16], huffman_count[16];
static u8 huffman_symbol[16][64];

static void huffman_prepare(void) {
  u32 code = 0;
  for (int bits = 1; bits < 16; bits++) {
    code <<= 1;
    huffman_first[bits] = code;
    for (int symbol = 0; symbol < 128; symbol++)
      if (huffman_length[symbol] == bits) huffman_symbol[bits][huffman_count[bits]++] = (u8)symbol;
    code += huffman_count[bits];
  }
}

static int huffman_decode(const u8 *in, u32 length, char *out, int room) {
  int size = 0, bits = 0;
  u32 code = 0;
  for (u32 i = 0; i < length * 8; i++) {
    code = code << 1 | (in[i >> 3] >> (7 - (i & 7)) & 1);
    if (++bits > 15) return -1;
    if (code - huffman_first[bits] < huffman_count[bits]) {
      if (size == room) return -1;
      out[size++] = (char)huffman_symbol[bits][code - huffman_first[bits]];
      code = 0, bits = 0;
    }
  }
  return bits < 8 ? size : -1;
}

enum { TEXT = 256, ENTRIES = 256 };
typedef struct {
  int status;  // of grpc-status; -1 for another field
  u32 size, name_size;
  int is_grpc_status;
} field;
typedef struct {
  field ring[ENTRIES];
  u32 newest, count, size, limit;
} table;

static void table_evict(table *t, u32 limit) {
  while (t->size > limit && t->count) t->size -= t->ring[(t->newest + ENTRIES - --t->count) % ENTRIES].size;
}

static void table_add(table *t, field f) {
  table_evict(t, f.size > t->limit ? 0 : t->limit - f.size);
  if (f.size > t->limit) return;
  if (t->count == ENTRIES) die("the server's header table has too many entries");
  t->newest = (t->newest + 1) % ENTRIES;
  t->ring[t->newest] = f;
  t->count++;
  t->size += f.size;
}

static u32 integer(const u8 **at, const u8 *end, int prefix) {
  u32 max = (1u << prefix) - 1, value = *(*at)++ & max;
  if (value < max) return value;
  for (int shift = 0; *at < end && shift < 28; shift += 7) {
    u8 byte = *(*at)++;
    value += (u32)(byte & 127) << shift;
    if (byte < 128) break;
  }
  return value;
}

static int text(const u8 **at, const u8 *end, char *out) {
  if (*at >= end) die("a header block of the server is cut off");
  int is_huffman = **at & 128;
  u32 length = integer(at, end, 7);
  if (length > (u32)(end - *at)) die("a header block of the server is cut off");
  const u8 *from = *at;
  *at += length;
  if (is_huffman) return huffman_decode(from, length, out, TEXT);
  if (length > TEXT) return -1;
  memcpy(out, from, length);
  return (int)length;
}

// The grpc-status of a header block, or -1 when it has none.
static int grpc_status(table *t, const u8 *at, u32 length) {
  static const u8 static_name_size[62] = {0,  10, 7,  7,  5,  5,  7,  7,  7,  7,  7,  7,  7,  7,  7,  14,
                                          15, 15, 13, 6,  27, 3,  5,  13, 13, 19, 16, 16, 14, 16, 13, 12,
                                          6,  4,  4,  6,  7,  4,  4,  8,  17, 13, 8,  19, 13, 4,  8,  12,
                                          18, 19, 5,  7,  7,  11, 6,  10, 25, 17, 10, 4,  3,  16};
  const u8 *end = at + length;
  int status = -1;
  while (at < end) {
    u8 first = *at;
    if (first & 128) {
      u32 index = integer(&at, end, 7);
      if (index < 62) continue;
      if (index - 62 >= t->count) die("the server refers to a header field that it never sent");
      field f = t->ring[(t->newest + ENTRIES - (index - 62)) % ENTRIES];
      if (f.is_grpc_status) status = f.status;
      continue;
    }
    if ((first & 0xe0) == 0x20) {
      t->limit = integer(&at, end, 5);
      table_evict(t, t->limit);
      continue;
    }
    int indexed = first & 64;
    u32 index = integer(&at, end, indexed ? 6 : 4);
    char name[TEXT], value[TEXT];
    field f = {-1, 0, 0, 0};
    if (index == 0) {
      int size = text(&at, end, name);
      if (size < 0) die("a header field of the server is too long");
      f.is_grpc_status = size == 11 && !memcmp(name, "grpc-status", 11);
      f.name_size = (u32)size;
    } else if (index < 62) {
      f.name_size = static_name_size[index];
    } else {
      if (index - 62 >= t->count) die("the server refers to a header field that it never sent");
      const field *named = &t->ring[(t->newest + ENTRIES - (index - 62)) % ENTRIES];
      f.is_grpc_status = named->is_grpc_status, f.name_size = named->name_size;
    }
    int size = text(&at, end, value);
    if (size < 0) die("a header field of the server is too long");
    if (f.is_grpc_status) {
      f.status = size == 1 ? value[0] - '0' : 99;
      status = f.status;
    }
    f.size = f.name_size + (u32)size + 32;
    if (indexed) table_add(t, f);
  }
  return status;
}

// ---- requests -------------------------------------------------------------------------------------------------------

typedef struct {
  u32 length, decisions, patches;
  const u32 *offsets;
  const u8 *bytes;
} request;
static request *requests;
static u32 request_count, next_request;
static u64 counter;

static void read_requests(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) die(path);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  u8 *all = need(malloc((size_t)size));
  if (fread(all, 1, (size_t)size, file) != (size_t)size) die(path);
  fclose(file);
  memcpy(&request_count, all, 4);
  requests = need(calloc(request_count, sizeof *requests));
  u8 *at = all + 4;
  for (u32 i = 0; i < request_count; i++) {
    request *r = &requests[i];
    memcpy(&r->length, at, 4), memcpy(&r->decisions, at + 4, 4), memcpy(&r->patches, at + 8, 4);
    u32 *offsets = need(malloc(4 * (size_t)r->patches + 4));
    memcpy(offsets, at + 12, 4 * (size_t)r->patches);
    r->offsets = offsets;
    r->bytes = at + 12 + 4 * (size_t)r->patches;
    at = (u8 *)r->bytes + r->length;
  }
  if (at != all + size) die("the file of requests is damaged");
}

static void hex16(u8 *at, u64 value) {
  for (int i = 15; i >= 0; i--, value >>= 4) at[i] = (u8) "0123456789abcdef"[value & 15];
}

// ---- connections ----------------------------------------------------------------------------------------------------

enum { SLOTS = 1 << 14, FRAME = 16384, MOST_OPEN = 900 };
typedef struct {
  u64 from;      // when the call arrived or was sent; 0: no such call
  u32 answered;  // length of the answer's message
  u32 decisions;
  int measured;
  int32_t window;
} call;
typedef struct {
  u8 *data;
  size_t from, to, room;
} buffer;
typedef struct {
  u32 stream;
  u8 *bytes;
  u32 length, sent;
  int ends;
} sending;  // A message that waits for the server's windows.
typedef struct {
  int fd;
  buffer in, out;
  table headers;
  call *calls;
  u32 next_stream;
  int open;
  int32_t window;
  sending *waiting;
  u32 waiting_from, waiting_to, waiting_room;
  u64 unacknowledged;
  // mode=stream
  u8 head[5];
  u32 head_has, body_left, is_field, field_state, field_value, field_shift, skip;
  int credit;
  u64 stream_unacknowledged;
} connection;

static connection *connections;
static int conns = 1, inflight = 64, is_stream;
static double rate, seconds = 2, warm = 0.5;
static u32 initial_window = 65535;
static u8 head_block[512];
static u32 head_length;

static u64 answered, errors, decisions, answer_bytes;
static u64 all_decisions;  // Those of the warm-up and of the end too.
static u32 *latencies;
static u64 latency_count, latency_room;
static u64 measure_from, measure_to;

static u8 *space(buffer *b, size_t count) {
  if (b->from == b->to) b->from = b->to = 0;
  if (b->room - b->to < count) {
    memmove(b->data, b->data + b->from, b->to - b->from);
    b->to -= b->from, b->from = 0;
    while (b->room - b->to < count) b->data = need(realloc(b->data, b->room = b->room ? b->room * 2 : 1 << 18));
  }
  return b->data + b->to;
}

static void frame_head(u8 *at, u32 length, u8 type, u8 flags, u32 stream) {
  at[0] = (u8)(length >> 16), at[1] = (u8)(length >> 8), at[2] = (u8)length, at[3] = type, at[4] = flags;
  at[5] = (u8)(stream >> 24), at[6] = (u8)(stream >> 16), at[7] = (u8)(stream >> 8), at[8] = (u8)stream;
}

static void put_frame(connection *c, u8 type, u8 flags, u32 stream, const void *payload, u32 length) {
  u8 *at = space(&c->out, length + 9);
  frame_head(at, length, type, flags, stream);
  memcpy(at + 9, payload, length);
  c->out.to += length + 9;
}

static void put_window(connection *c, u32 stream, u32 by) {
  u8 payload[4] = {(u8)(by >> 24), (u8)(by >> 16), (u8)(by >> 8), (u8)by};
  put_frame(c, 8, 0, stream, payload, 4);
}

static call *call_of(connection *c, u32 stream) { return &c->calls[stream / 2 % SLOTS]; }

// Sends what the windows allow, in order.
static void send_waiting(connection *c) {
  while (c->waiting_from < c->waiting_to) {
    sending *s = &c->waiting[c->waiting_from];
    call *k = call_of(c, s->stream);
    u32 left = s->length - s->sent;
    int32_t allowed = c->window < k->window ? c->window : k->window;
    if (allowed <= 0) return;
    u32 size = left < (u32)allowed ? left : (u32)allowed;
    if (size > FRAME) size = FRAME;
    put_frame(c, 0, s->ends && size == left, s->stream, s->bytes + s->sent, size);
    s->sent += size, c->window -= (int32_t)size, k->window -= (int32_t)size;
    if (s->sent == s->length) free(s->bytes), c->waiting_from++;
  }
  c->waiting_from = c->waiting_to = 0;
}

static void send_message(connection *c, u32 stream, const request *r, int ends) {
  if (c->waiting_to == c->waiting_room)
    c->waiting = need(realloc(c->waiting, sizeof *c->waiting * (c->waiting_room = c->waiting_room * 2 + 64)));
  u8 *bytes = need(malloc(r->length + 5));
  bytes[0] = 0;
  bytes[1] = (u8)(r->length >> 24), bytes[2] = (u8)(r->length >> 16), bytes[3] = (u8)(r->length >> 8), bytes[4] = (u8)r->length;
  memcpy(bytes + 5, r->bytes, r->length);
  for (u32 i = 0; i < r->patches; i++) hex16(bytes + 5 + r->offsets[i], ++counter);
  c->waiting[c->waiting_to++] = (sending){stream, bytes, r->length + 5, 0, ends};
  send_waiting(c);
}

static const request *take_request(void) {
  const request *r = &requests[next_request];
  next_request = (next_request + 1) % request_count;
  return r;
}

static void start_call(connection *c, u64 from) {
  u32 stream = c->next_stream;
  c->next_stream += 2;
  call *k = call_of(c, stream);
  if (k->from) die("too many calls are open");
  const request *r = take_request();
  *k = (call){from, 0, r->decisions, from >= measure_from && from < measure_to, (int32_t)initial_window};
  c->open++;
  put_frame(c, 1, 4, stream, head_block, head_length);
  send_message(c, stream, r, 1);
}

static void end_call(connection *c, u32 stream, int status) {
  call *k = call_of(c, stream);
  if (!k->from) return;
  all_decisions += k->decisions;
  if (k->measured) {
    if (status != 0 || k->answered <= 5) errors++;
    else {
      answered++, decisions += k->decisions, answer_bytes += k->answered - 5;
      if (latency_count == latency_room)
        latencies = need(realloc(latencies, 4 * (latency_room = latency_room * 2 + 65536)));
      u64 tenths = (now_ns() - k->from) / 100;
      latencies[latency_count++] = tenths > UINT32_MAX ? UINT32_MAX : (u32)tenths;
    }
  }
  k->from = 0;
  c->open--;
}

// Counts the results in the answers of a stream: top-level fields, whatever the frames' borders.
static void count_results(connection *c, const u8 *at, u32 length) {
  int measured = now_ns() >= measure_from && now_ns() < measure_to;
  for (u32 i = 0; i < length;) {
    if (c->body_left == 0) {
      c->head[c->head_has++] = at[i++];
      if (c->head_has == 5) {
        c->body_left = (u32)c->head[1] << 24 | (u32)c->head[2] << 16 | (u32)c->head[3] << 8 | c->head[4];
        c->head_has = 0, c->field_state = 0, c->skip = 0;
        if (measured) answer_bytes += c->body_left;
      }
      continue;
    }
    if (c->skip) {
      u32 step = c->skip < length - i ? c->skip : length - i;
      i += step, c->skip -= step, c->body_left -= step;
      continue;
    }
    u8 byte = at[i++];
    c->body_left--;
    if (c->field_state == 0) {
      if (byte != 0x0a) die("an answer of the stream holds something other than results");
      c->field_state = 1, c->field_value = 0, c->field_shift = 0;
    } else {
      c->field_value |= (u32)(byte & 127) << c->field_shift, c->field_shift += 7;
      if (byte < 128) {
        c->skip = c->field_value, c->field_state = 0, c->credit++;
        all_decisions++;
        if (measured) decisions++, answered++;
      }
    }
  }
}

static void on_frame(connection *c, u8 type, u8 flags, u32 stream, const u8 *at, u32 length) {
  switch (type) {
    case 0:
      c->unacknowledged += length;
      if (c->unacknowledged > 1 << 24) put_window(c, 0, (u32)c->unacknowledged), c->unacknowledged = 0;
      if (is_stream) {
        c->stream_unacknowledged += length;
        if (c->stream_unacknowledged > 1 << 24)
          put_window(c, stream, (u32)c->stream_unacknowledged), c->stream_unacknowledged = 0;
        count_results(c, at, length);
      } else call_of(c, stream)->answered += length;
      if (flags & 1) end_call(c, stream, -1);
      break;
    case 1: {
      if (!(flags & 4)) die("the server sends header blocks in pieces");
      if (flags & 8 || flags & 32) die("the server pads its headers");
      int status = grpc_status(&c->headers, at, length);
      if (flags & 1) {
        if (is_stream) die("the server ended the stream");
        end_call(c, stream, status);
      }
      break;
    }
    case 3:
      if (is_stream) die("the server reset the stream");
      if (call_of(c, stream)->from) end_call(c, stream, -1);
      break;
    case 4:
      if (flags & 1) break;
      for (u32 i = 0; i + 6 <= length; i += 6) {
        u32 value = (u32)at[i + 2] << 24 | (u32)at[i + 3] << 16 | (u32)at[i + 4] << 8 | at[i + 5];
        if (at[i] == 0 && at[i + 1] == 4) {
          for (u32 s = 0; s < SLOTS; s++)
            if (c->calls[s].from) c->calls[s].window += (int32_t)(value - initial_window);
          initial_window = value;
        }
      }
      put_frame(c, 4, 1, 0, "", 0);
      break;
    case 6:
      if (!(flags & 1)) put_frame(c, 6, 1, 0, at, length);
      break;
    case 7:
      die("the server says GOAWAY");
      break;
    case 8: {
      u32 by = ((u32)at[0] << 24 | (u32)at[1] << 16 | (u32)at[2] << 8 | at[3]) & 0x7fffffff;
      if (stream == 0) c->window += (int32_t)by;
      else call_of(c, stream)->window += (int32_t)by;
      send_waiting(c);
      break;
    }
  }
}

static void read_frames(connection *c) {
  buffer *b = &c->in;
  for (;;) {
    u8 *to = space(b, 1 << 17);
    ssize_t got = read(c->fd, to, 1 << 17);
    if (got == 0) errno = 0, die("the server closed the connection");
    if (got < 0) {
      if (errno == EAGAIN) break;
      die("read");
    }
    b->to += (size_t)got;
    while (b->to - b->from >= 9) {
      const u8 *at = b->data + b->from;
      u32 length = (u32)at[0] << 16 | (u32)at[1] << 8 | at[2];
      if (b->to - b->from < 9 + (size_t)length) break;
      u32 stream = ((u32)at[5] << 24 | (u32)at[6] << 16 | (u32)at[7] << 8 | at[8]) & 0x7fffffff;
      b->from += 9 + (size_t)length;
      on_frame(c, at[3], at[4], stream, at + 9, length);
    }
    if (got < 1 << 17) break;
  }
}

static void flush(connection *c) {
  while (c->out.from < c->out.to) {
    ssize_t done = write(c->fd, c->out.data + c->out.from, c->out.to - c->out.from);
    if (done < 0) {
      if (errno == EAGAIN) return;
      die("write");
    }
    c->out.from += (size_t)done;
  }
}

static void put_literal(const char *name, u8 name_index, const char *value) {
  u8 *at = head_block + head_length;
  size_t size = strlen(value);
  if (name_index >= 15) *at++ = 15, *at++ = (u8)(name_index - 15);
  else *at++ = name_index;
  if (!name_index) *at++ = (u8)strlen(name), memcpy(at, name, strlen(name)), at += strlen(name);
  *at++ = (u8)size, memcpy(at, value, size), at += size;
  head_length = (u32)(at - head_block);
}

static void open_connection(connection *c, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  c->calls = need(calloc(SLOTS, sizeof(call)));
  c->next_stream = 1;
  c->window = 65535;
  c->headers.limit = 4096;
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  memcpy(space(&c->out, 24), preface, 24);
  c->out.to += 24;
  // No push; windows that no answer fills.
  static const u8 settings[] = {0, 2, 0, 0, 0, 0, 0, 4, 0x3f, 0xff, 0xff, 0xff};
  put_frame(c, 4, 0, 0, settings, sizeof settings);
  put_window(c, 0, 0x3fffffff);
}

static int by_value(const void *a, const void *b) { return *(const u32 *)a < *(const u32 *)b ? -1 : *(const u32 *)a > *(const u32 *)b; }

static double quantile(double q) {
  if (!latency_count) return 0;
  u64 at = (u64)(q * (double)latency_count);
  return latencies[at < latency_count ? at : latency_count - 1] / 10.0;
}

static void fill(connection *c, int most) {
  while (c->open < most) start_call(c, now_ns());
}

int main(int argc, char **argv) {
  if (argc < 4) errno = 0, die("usage: h2blast PORT PATH FILE [conns= inflight= rate= seconds= warm= mode= seed=]");
  for (int i = 4; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (!value) errno = 0, die("options are key=value");
    *value++ = 0;
    if (!strcmp(argv[i], "conns")) conns = atoi(value);
    else if (!strcmp(argv[i], "inflight")) inflight = atoi(value);
    else if (!strcmp(argv[i], "rate")) rate = atof(value);
    else if (!strcmp(argv[i], "seconds")) seconds = atof(value);
    else if (!strcmp(argv[i], "warm")) warm = atof(value);
    else if (!strcmp(argv[i], "seed")) random_state = strtoull(value, 0, 10) * 0x9e3779b97f4a7c15ull | 1;
    else if (!strcmp(argv[i], "mode")) is_stream = !strcmp(value, "stream");
    else errno = 0, die(argv[i]);
  }
  huffman_prepare();
  read_requests(argv[3]);
  counter = now_ns() << 20;  // Ids of no earlier run.
  head_block[head_length++] = 0x83, head_block[head_length++] = 0x86;
  put_literal("", 4, argv[2]);
  put_literal("", 1, "127.0.0.1");
  put_literal("", 31, "application/grpc");
  put_literal("te", 0, "trailers");

  connections = need(calloc((size_t)conns, sizeof *connections));
  struct pollfd *polled = need(calloc((size_t)conns, sizeof *polled));
  for (int i = 0; i < conns; i++) open_connection(&connections[i], atoi(argv[1]));
  u64 start = now_ns();
  measure_from = start + (u64)(warm * 1e9);
  measure_to = measure_from + (u64)(seconds * 1e9);
  for (int i = 0; is_stream && i < conns; i++) {
    connection *c = &connections[i];
    *call_of(c, 1) = (call){start, 0, 0, 0, (int32_t)initial_window};
    c->next_stream = 3, c->open = 1;
    c->credit = (int)requests[0].decisions * inflight / conns;
    put_frame(c, 1, 4, 1, head_block, head_length);
  }

  u64 arrival = start, last = measure_to + 2000000000ull;
  int turn = 0;
  for (;;) {
    u64 now = now_ns();
    int is_over = now >= measure_to;
    if (is_over) {
      int open = 0;
      for (int i = 0; i < conns; i++) open += connections[i].open;
      // What arrived in time is sent, however late: leaving it out would flatter a server that falls behind.
      int is_behind = rate > 0 && arrival < measure_to;
      if (is_stream || (open == 0 && !is_behind) || now >= last) break;
    }
    if (is_over && rate == 0) {
      // Nothing new: what is under way is waited for.
    } else if (is_stream) {
      for (int i = 0; i < conns; i++) {
        connection *c = &connections[i];
        while (c->credit >= (int)requests[next_request].decisions) {
          const request *r = take_request();
          c->credit -= (int)r->decisions;
          send_message(c, 1, r, 0);
        }
      }
    } else if (rate > 0) {
      while (arrival <= now && arrival < measure_to) {
        connection *c = &connections[turn];
        if (c->open >= MOST_OPEN) break;  // Arrives now all the same: its latency runs.
        start_call(c, arrival);
        turn = (turn + 1) % conns;
        arrival += (u64)(-log(uniform()) / rate * 1e9);
      }
    } else {
      for (int i = 0; i < conns; i++) fill(&connections[i], inflight / conns + (i < inflight % conns));
    }
    for (int i = 0; i < conns; i++) {
      connection *c = &connections[i];
      flush(c);
      polled[i] = (struct pollfd){c->fd, POLLIN | (c->out.from < c->out.to ? POLLOUT : 0), 0};
    }
    // An open loop must not sleep past the next arrival, and a poll may sleep a millisecond longer than it was asked to.
    struct timespec wait = {0, 1000000};
    if (rate > 0 && arrival < measure_to) {
      now = now_ns();
      wait.tv_nsec = arrival <= now ? 0 : arrival - now > 1000000 ? 1000000 : (long)(arrival - now);
      if (wait.tv_nsec < 60000) wait.tv_nsec = 0;
    }
    if (ppoll(polled, (nfds_t)conns, &wait, 0) < 0 && errno != EINTR) die("poll");
    for (int i = 0; i < conns; i++)
      if (polled[i].revents & (POLLIN | POLLHUP | POLLERR)) read_frames(&connections[i]);
  }
  for (int i = 0; !is_stream && i < conns; i++)
    for (u32 s = 0; s < SLOTS; s++) errors += connections[i].calls[s].from && connections[i].calls[s].measured;

  // Arrivals that could not even be sent.
  for (; rate > 0 && arrival < measure_to; arrival += (u64)(-log(uniform()) / rate * 1e9)) errors += arrival >= measure_from;

  qsort(latencies, latency_count, 4, by_value);
  printf("{\"answered\":%llu,\"errors\":%llu,\"decisions\":%llu,\"allDecisions\":%llu,\"seconds\":%g,\"bytes\":%llu,"
         "\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,\"maxUs\":%.1f}\n",
         (unsigned long long)answered, (unsigned long long)errors, (unsigned long long)decisions,
         (unsigned long long)all_decisions, seconds,
         (unsigned long long)answer_bytes, quantile(0.5), quantile(0.99), quantile(0.999), quantile(1));
  return 0;
}
