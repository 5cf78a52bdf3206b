import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader'

/** How a value looks in JSON. `json` is any JSON, which the contract carries as text in fields named `*_json`. */
export type FieldKind =
  | { readonly kind: 'string' | 'bool' | 'double' | 'bytes' | 'timestamp' | 'struct' }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'json'; readonly isText: boolean }
  | { readonly kind: 'enum'; readonly names: readonly string[] }
  | { readonly kind: 'message'; readonly type: string }

export interface Field {
  /** As the contract and we write it: `approval_id`. */
  readonly name: string
  /** As the loader calls it, and JSON may: `approvalId`. */
  readonly key: string
  readonly holds: FieldKind
  readonly many: 'one' | 'list' | 'map'
  /** Of fields of which only one may be set: the name of their choice. */
  readonly oneof: string | null
}

export interface MessageShape {
  readonly fields: readonly Field[]
  /** By both spellings of its name. */
  readonly byName: ReadonlyMap<string, Field>
}

interface FieldDescriptor {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly typeName?: string
  readonly oneofIndex?: number
}
interface EnumDescriptor {
  readonly name: string
  readonly value?: readonly { readonly name: string }[]
}
interface MessageDescriptor {
  readonly name: string
  readonly field?: readonly FieldDescriptor[]
  readonly nestedType?: readonly MessageDescriptor[]
  readonly oneofDecl?: readonly { readonly name: string }[]
  readonly options?: { readonly mapEntry?: boolean }
}
interface FileDescriptor {
  readonly package?: string
  readonly messageType?: readonly MessageDescriptor[]
  readonly enumType?: readonly EnumDescriptor[]
}

const { MAX_SAFE_INTEGER: SAFE } = Number
const SCALARS: Readonly<Record<string, FieldKind>> = {
  TYPE_STRING: { kind: 'string' },
  TYPE_BOOL: { kind: 'bool' },
  TYPE_DOUBLE: { kind: 'double' },
  TYPE_BYTES: { kind: 'bytes' },
  TYPE_INT32: { kind: 'integer', min: -(2 ** 31), max: 2 ** 31 - 1 },
  TYPE_UINT32: { kind: 'integer', min: 0, max: 2 ** 32 - 1 },
  TYPE_INT64: { kind: 'integer', min: -SAFE, max: SAFE },
  TYPE_UINT64: { kind: 'integer', min: 0, max: SAFE },
}

/** The messages of a loaded contract, by their full names. */
export class Schema {
  readonly #shapes = new Map<string, MessageShape>()
  readonly #enums = new Map<string, readonly string[]>()
  readonly #messages = new Map<string, { readonly package: string; readonly descriptor: MessageDescriptor }>()

  constructor(contract: PackageDefinition) {
    for (const file of filesOf(contract)) {
      const within = file.package ?? ''
      for (const { name, value = [] } of file.enumType ?? []) {
        const names = value.map((each) => each.name)
        this.#enums.set(`${within}.${name}`, names)
      }
      for (const descriptor of file.messageType ?? []) {
        this.#messages.set(`${within}.${descriptor.name}`, { package: within, descriptor })
      }
    }
  }

  /** @param type full name: `portcullis.v1.Subject` */
  shape(type: string): MessageShape {
    const known = this.#shapes.get(type)
    if (known !== undefined) return known
    const found = this.#messages.get(type)
    if (found === undefined) throw new TypeError(`the contract has no message ${type}`)
    const { descriptor } = found
    const fields = (descriptor.field ?? []).map((field) => this.#field(found.package, descriptor, field))
    const byName = new Map(fields.flatMap((field) => [[field.name, field] as const, [field.key, field] as const]))
    const shape = { fields, byName }
    this.#shapes.set(type, shape)
    return shape
  }

  /** The full name of a message that a method takes or gives. */
  nameOf(within: string, { type }: MessageTypeDefinition<object, object>): string {
    return `${within}.${(type as MessageDescriptor).name}`
  }

  #field(within: string, message: MessageDescriptor, field: FieldDescriptor): Field {
    const key = field.name
    const name = snakeCase(key)
    const oneof = field.oneofIndex === undefined ? null : (message.oneofDecl?.[field.oneofIndex]?.name ?? null)
    const entry = message.nestedType?.find((nested) => nested.options?.mapEntry && nested.name === field.typeName)
    if (entry !== undefined) {
      const value = entry.field?.find((each) => each.name === 'value')
      if (value === undefined) throw new TypeError(`the map ${message.name}.${name} has no values`)
      return { name, key, holds: this.#holds(within, name, value), many: 'map', oneof }
    }
    const many = field.label === 'LABEL_REPEATED' ? 'list' : 'one'
    return { name, key, holds: this.#holds(within, name, field), many, oneof }
  }

  #holds(within: string, name: string, { type, typeName = '' }: FieldDescriptor): FieldKind {
    if (name.endsWith('_json')) return { kind: 'json', isText: type === 'TYPE_STRING' }
    const scalar = SCALARS[type]
    if (scalar !== undefined) return scalar
    const full = typeName.replace(/^\./, '')
    if (full === 'google.protobuf.Timestamp') return { kind: 'timestamp' }
    if (full === 'google.protobuf.Struct') return { kind: 'struct' }
    const names = [`${within}.${full}`, full]
    for (const each of names) {
      const values = this.#enums.get(each)
      if (values !== undefined) return { kind: 'enum', names: values }
      if (this.#messages.has(each)) return { kind: 'message', type: each }
    }
    throw new TypeError(`the field ${name} is of type ${full || type}, which has no form in JSON here`)
  }
}

/** The loader's own form of descriptors does not tell fields without a choice from those of the first one; the bytes do. */
function filesOf(contract: PackageDefinition): readonly FileDescriptor[] {
  const description = loadSync('google/protobuf/descriptor.proto', { enums: String })[
    'google.protobuf.FileDescriptorProto'
  ]
  const { deserialize } = description as MessageTypeDefinition<object, object>
  const bytes = Object.values(contract).find((definition) => 'fileDescriptorProtos' in definition)
  return (bytes as MessageTypeDefinition<object, object>).fileDescriptorProtos.map(
    (file) => deserialize(file) as FileDescriptor,
  )
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
