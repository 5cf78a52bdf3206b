import { hasInvisible } from './fold.js'
import type { SqlView } from './view-value.js'

/** A node of PostgreSQL's raw parse tree as JSON. A node in a place for any kind is wrapped: `{"SelectStmt": {…}}`. */
type Tree = { readonly [field: string]: unknown }

/** Statement kinds by node name, where it is not told by how the name begins. Others are `other`. */
const KINDS: Readonly<Record<string, string>> = {
  SelectStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
  TruncateStmt: 'truncate',
  CopyStmt: 'copy',
  CallStmt: 'call',
  DoStmt: 'do',
  ExplainStmt: 'explain',
  VariableSetStmt: 'set',
  AlterSystemStmt: 'set',
  ViewStmt: 'create',
  IndexStmt: 'create',
  RuleStmt: 'create',
  DefineStmt: 'create',
  CompositeTypeStmt: 'create',
  CreatedbStmt: 'create',
  RenameStmt: 'alter',
  DropdbStmt: 'drop',
}

/** Statements that do what another text says: what they touch is not in this one. */
const HIDING_STATEMENTS = new Set([
  'DoStmt',
  'CallStmt',
  'ExecuteStmt',
  'FetchStmt',
  'CreateFunctionStmt',
  'LoadStmt',
  'CreateExtensionStmt',
  'ImportForeignSchemaStmt',
])

/** Functions that run SQL given as text, or read tables and files named by text. */
const HIDING_FUNCTIONS =
  /^(?:dblink.*|(?:query|table|cursor|schema|database)_to_xml.*|ts_stat|ts_rewrite|crosstab.*|connectby|xpath_table|pg_read_.*|pg_ls_.*|pg_stat_file|pg_file_.*|pg_logical_.*|pg_execute.*|lo_.*|lowrite|loread|set_config|exec.*|sys_e.*|load_extension|load_file|readfile|writefile|xp_.*|sp_exec.*|openrowset|opendatasource|openquery)$/

const COMMANDS: Readonly<Record<string, string>> = { CMD_INSERT: 'insert', CMD_UPDATE: 'update', CMD_DELETE: 'delete' }

/** Node names are capitalised, field names (`selectStmt`) are not. */
function isStatementName(key: string): boolean {
  return key.endsWith('Stmt') && key.charCodeAt(0) <= 0x5a
}

/** Fields that hold bare names of columns: a string, or a list of strings. */
const COLUMN_FIELDS = new Set([
  'usingClause',
  'colname',
  'attlist',
  'cols',
  'columns',
  'keys',
  'fk_attrs',
  'pk_attrs',
  'including',
  'fk_del_set_cols',
  'indirection',
])

/** Functions with a syntax, and so nodes, of their own. */
const FUNCTION_NODES: ReadonlyMap<string, string> = new Map([
  ['CoalesceExpr', 'coalesce'],
  ['GroupingFunc', 'grouping'],
  ['XmlSerialize', 'xmlserialize'],
  ['RangeTableFunc', 'xmltable'],
  ['JsonTable', 'json_table'],
  ['JsonObjectConstructor', 'json_object'],
  ['JsonArrayConstructor', 'json_array'],
  ['JsonArrayQueryConstructor', 'json_array'],
  ['JsonObjectAgg', 'json_objectagg'],
  ['JsonArrayAgg', 'json_arrayagg'],
  ['JsonParseExpr', 'json'],
  ['JsonScalarExpr', 'json_scalar'],
  ['JsonSerializeExpr', 'json_serialize'],
])

/** White space beyond ASCII: part of a name for PostgreSQL, and a space to the eye. */
const ODD_SPACE = /[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/

/**
 * Statements of T-SQL, which need no `;` before them: `SELECT 1 DELETE FROM orders` is one query with a column called
 * `delete` here, and two statements there.
 */
const STATEMENT_WORDS: ReadonlySet<string> = new Set(
  'alter backup bulk checkpoint create dbcc declare delete deny drop exec execute grant insert kill merge print raiserror reconfigure restore revoke rollback save select set shutdown throw truncate update updatetext use waitfor while writetext'.split(
    ' ',
  ),
)

const UNKNOWN = {
  statements: undefined,
  tables: undefined,
  columns: undefined,
  has_limit: undefined,
  limit: undefined,
  has_where: undefined,
} as const

/**
 * What statements do, over-approximated: a name that could be a table's counts as one, and what cannot be told is
 * `undefined`. Where something runs that the text does not show, all but the functions it names is unknown: a list of
 * statements without the `delete` inside a DO block would let a rule against deletes pass. The result is `undefined` as a
 * whole where a name holds invisible characters.
 *
 * @param statements `stmts` of the parser's answer
 */
export function summarize(statements: readonly unknown[]): SqlView | undefined {
  const collector = new Collector()
  for (const raw of statements) collector.statement(raw as Tree)
  return collector.view(statements.length > 1)
}

class Collector {
  readonly #statements: string[] = []
  readonly #tables = new Set<string>()
  readonly #aliases = new Set<string>()
  readonly #columns = new Set<string>()
  readonly #functions = new Set<string>()
  /** Columns that might be whole rows (`select u from users u`): told when all aliases are known. */
  readonly #bareColumns = new Set<string>()
  readonly #limits: (number | 'none' | 'unclear')[] = []
  #isHidden = false
  #runsUnseenText = false
  #hasUnboundedWrite = false
  #hasUnclearWrite = false
  #hasOddName = false
  /** The statement being read, where it is a SELECT. */
  #root: unknown

  statement(raw: Tree): void {
    const stmt = raw['stmt'] as Tree | undefined
    if (stmt === undefined) return
    this.#root = stmt['SelectStmt']
    this.#limitOf(stmt)
    this.#walk(stmt)
  }

  view(multiple: boolean): SqlView | undefined {
    for (const name of this.#bareColumns) {
      if (this.#aliases.has(name) || this.#tables.has(name)) this.#columns.add('*')
    }
    if (this.#hasOddName) return undefined
    const functions = [...this.#functions]
    if (this.#isHidden) return { ...UNKNOWN, functions: this.#runsUnseenText ? undefined : functions, multiple }
    return {
      statements: this.#statements,
      tables: [...this.#tables],
      columns: [...this.#columns],
      functions,
      ...this.#limitFields(),
      has_where: this.#hasUnboundedWrite ? false : this.#hasUnclearWrite ? undefined : true,
      multiple,
    }
  }

  #limitFields(): Pick<SqlView, 'has_limit' | 'limit'> {
    if (this.#limits.includes('none')) return { has_limit: false, limit: undefined }
    if (this.#limits.includes('unclear')) return { has_limit: undefined, limit: undefined }
    const limits = this.#limits as number[]
    return { has_limit: true, limit: limits.length === 0 ? undefined : Math.max(...limits) }
  }

  /** Iterative, for expressions nest as deep as the text is long. Children are visited in the order of the text. */
  #walk(root: Tree): void {
    const stack: unknown[] = [root]
    while (stack.length > 0) {
      const node = stack.pop()
      const first = stack.length
      if (Array.isArray(node)) {
        for (const item of node) if (typeof item === 'object' && item !== null) stack.push(item)
      } else this.#node(node as Tree, stack)
      // What comes first in the text lies on top.
      for (let i = first, j = stack.length - 1; i < j; i++, j--) [stack[i], stack[j]] = [stack[j], stack[i]]
    }
  }

  /** Pushes the children on the stack. Nodes are parsed JSON: what `in` finds is their own. */
  #node(node: Tree, stack: unknown[]): void {
    for (const key in node) {
      const value = node[key]
      this.#field(key, value, node)
      if (typeof value !== 'object' || value === null) continue
      stack.push(value)
      if (Array.isArray(value)) continue
      if (isStatementName(key)) this.#kind(key, value as Tree)
      else this.#clause(key, value as Tree)
    }
  }

  #field(key: string, value: unknown, node: Tree): void {
    switch (key) {
      case 'relname':
        if (typeof value === 'string') this.#relation(node)
        break
      case 'ResTarget':
        if (isTree(value) && STATEMENT_WORDS.has(this.#name(value['name']))) this.#hasOddName = true
        break
      case 'funcname':
        if (Array.isArray(value)) this.#function(value)
        break
      case 'alias':
        if (isTree(value)) this.#alias(value)
        break
      case 'ctename':
        if (typeof value === 'string') this.#tables.add(this.#name(value))
        break
      case 'object':
      case 'objects':
        this.#objects(value)
        break
      default:
        if (COLUMN_FIELDS.has(key)) this.#columnNames(value)
    }
  }

  #kind(node: string, stmt: Tree): void {
    // The VALUES of an INSERT are a SELECT to the parser and to nobody else.
    if (node === 'SelectStmt' && stmt['valuesLists'] !== undefined && stmt !== this.#root) return
    this.#statements.push(kindOf(node, stmt))
    if (HIDING_STATEMENTS.has(node)) this.#isHidden = true
    // CALL names what it runs, the others do not.
    if (HIDING_STATEMENTS.has(node) && node !== 'CallStmt') this.#runsUnseenText = true
    switch (node) {
      case 'SelectStmt':
        // SELECT … INTO creates a table.
        if (stmt['intoClause'] !== undefined) this.#statements.push('create')
        break
      case 'UpdateStmt':
      case 'DeleteStmt':
        if (stmt['whereClause'] === undefined) this.#hasUnboundedWrite = true
        this.#targets(stmt['targetList'])
        break
      case 'InsertStmt':
        if (stmt['cols'] === undefined) this.#columns.add('*')
        this.#targets(stmt['cols'])
        break
      case 'CopyStmt':
        this.#copy(stmt)
        break
      case 'AlterTableStmt':
      case 'RenameStmt':
        this.#columnNames(stmt['subname'])
        this.#columnNames(stmt['newname'])
        break
      default:
    }
  }

  /** Nodes within statements that count as statements, name columns, or hide what runs. */
  #clause(key: string, node: Tree): void {
    switch (key) {
      case 'ColumnRef':
        this.#columnRef(node)
        break
      case 'MergeWhenClause':
        this.#mergeAction(node)
        break
      case 'onConflictClause':
        if (node['action'] === 'ONCONFLICT_UPDATE') this.#statements.push('update')
        this.#targets(node['targetList'])
        break
      case 'action':
        // ALTER DEFAULT PRIVILEGES holds a GRANT without its wrapper.
        if (node['privileges'] !== undefined || node['grantees'] !== undefined) this.#statements.push(grantKind(node))
        break
      case 'IndexElem':
      case 'AlterTableCmd':
        this.#columnNames(node['name'])
        break
      case 'TypeName':
        if (node['pct_type'] === true) this.#objects(node['names'])
        break
      case 'SQLValueFunction':
        this.#functions.add(this.#name(String(node['op']).replace(/^SVFOP_/, '')))
        break
      case 'A_Expr':
        if (node['kind'] === 'AEXPR_NULLIF') this.#functions.add('nullif')
        this.#operator(node['name'])
        break
      case 'SubLink':
        this.#operator(node['operName'])
        break
      case 'SortBy':
        this.#operator(node['useOp'])
        break
      case 'XmlExpr':
      case 'MinMaxExpr':
        this.#functions.add(this.#name(String(node['op']).replace(/^IS_/, '')))
        break
      case 'JsonFuncExpr':
        this.#functions.add(this.#name(String(node['op']).replace(/_OP$/, '')))
        break
      case 'JoinExpr':
        // Every column that both sides have.
        if (node['isNatural'] === true) this.#columns.add('*')
        break
      default:
        this.#functionNode(FUNCTION_NODES.get(key))
    }
  }

  #functionNode(name: string | undefined): void {
    if (name !== undefined) this.#functions.add(name)
  }

  /** An operator of a schema is a function of whoever owns that schema: `OPERATOR(evil.+)`. */
  #operator(parts: unknown): void {
    const names = (Array.isArray(parts) ? parts : []).map(stringOf)
    if (names.length > 1 && names[0] !== 'pg_catalog') this.#functions.add(this.#name(names.join('.')))
  }

  #relation(range: Tree): void {
    const name = this.#name(range['relname'])
    this.#tables.add(name)
    const schema = range['schemaname']
    if (typeof schema !== 'string') return
    const qualified = `${this.#name(schema)}.${name}`
    this.#tables.add(qualified)
    const catalog = range['catalogname']
    if (typeof catalog === 'string') this.#tables.add(`${this.#name(catalog)}.${qualified}`)
  }

  #alias(alias: Tree): void {
    if (typeof alias['aliasname'] === 'string') {
      const name = this.#name(alias['aliasname'])
      this.#aliases.add(name)
      if (STATEMENT_WORDS.has(name)) this.#hasOddName = true
    }
    // `users u(a, b, c)` renames columns: which ones are read cannot be told by name any more.
    if (alias['colnames'] !== undefined) this.#columns.add('*')
  }

  #function(parts: readonly unknown[]): void {
    const name = this.#name(stringOf(parts.at(-1)))
    this.#functions.add(name)
    if (HIDING_FUNCTIONS.test(name)) this.#isHidden = true
  }

  #columnRef(ref: Tree): void {
    const fields = Array.isArray(ref['fields']) ? ref['fields'] : []
    const last = fields.at(-1)
    if (isTree(last) && last['A_Star'] !== undefined) {
      this.#columns.add('*')
      return
    }
    const name = this.#name(stringOf(last))
    this.#columns.add(name)
    this.#bareColumns.add(name)
  }

  /** Names after `object`: `DROP TABLE a, b.c`, `COMMENT ON TABLE a`. A column's table is among them. */
  #objects(value: unknown): void {
    const lists = Array.isArray(value) ? value : [value]
    for (const list of lists) {
      const items = isTree(list) && isTree(list['List']) ? list['List']['items'] : [list]
      const parts = (Array.isArray(items) ? items : []).map(stringOf).filter((part) => part !== '')
      for (let start = 0; start < parts.length; start++) {
        for (let end = start + 1; end <= parts.length; end++) {
          this.#tables.add(
            parts
              .slice(start, end)
              .map((part) => this.#name(part))
              .join('.'),
          )
        }
      }
    }
  }

  #columnNames(value: unknown): void {
    for (const item of Array.isArray(value) ? value : [value]) {
      const name = typeof item === 'string' ? item : stringOf(item)
      if (name !== '') this.#columns.add(this.#name(name))
      if (isTree(item) && item['A_Star'] !== undefined) this.#columns.add('*')
    }
  }

  /** Columns written by INSERT and UPDATE; the same node names output columns in a SELECT, which are no columns of a table. */
  #targets(list: unknown): void {
    for (const item of Array.isArray(list) ? list : []) {
      if (isTree(item) && isTree(item['ResTarget'])) this.#columnNames(item['ResTarget']['name'])
    }
  }

  #copy(stmt: Tree): void {
    this.#statements.push(stmt['is_from'] === true ? 'insert' : 'select')
    if (stmt['attlist'] === undefined && stmt['relation'] !== undefined) this.#columns.add('*')
    // COPY … PROGRAM runs a shell command, and a file holds what it holds.
    if (stmt['is_program'] === true || stmt['filename'] !== undefined) this.#isHidden = this.#runsUnseenText = true
  }

  #mergeAction(when: Tree): void {
    const kind = COMMANDS[String(when['commandType'])]
    if (kind === undefined) return
    this.#statements.push(kind)
    if (kind !== 'insert') this.#hasUnclearWrite = true
    this.#targets(when['targetList'])
    if (kind === 'insert' && when['targetList'] === undefined) this.#columns.add('*')
  }

  #limitOf(stmt: Tree): void {
    const [[kind, body] = ['', undefined]] = Object.entries(stmt)
    if (!isTree(body)) return
    switch (kind) {
      case 'SelectStmt':
        if (body['intoClause'] === undefined) this.#limits.push(limitOfSelect(body))
        return
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        if (body['returningClause'] !== undefined || body['returningList'] !== undefined) this.#limits.push('none')
        return
      case 'ExplainStmt':
      case 'PrepareStmt':
      case 'DeclareCursorStmt':
        if (isTree(body['query'])) this.#limitOf(body['query'])
        return
      case 'CopyStmt':
        if (isTree(body['query'])) this.#limitOf(body['query'])
        else if (body['is_from'] !== true) this.#limits.push('none')
        return
      default:
    }
  }

  /** Lower case, compatibility forms folded (full-width `ｕｓｅｒｓ`). */
  #name(text: unknown): string {
    const written = String(text)
    if (isAscii(written)) return written.toLowerCase()
    const folded = written.normalize('NFKC').toLowerCase()
    if (hasInvisible(written) || ODD_SPACE.test(written)) this.#hasOddName = true
    return folded
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

function kindOf(node: string, stmt: Tree): string {
  const kind = KINDS[node]
  if (kind !== undefined) return kind
  if (node === 'GrantStmt' || node === 'GrantRoleStmt') return grantKind(stmt)
  if (node === 'TransactionStmt') return transactionKind(stmt['kind'])
  if (node.startsWith('Create')) return 'create'
  if (node.startsWith('Alter')) return 'alter'
  return node.startsWith('Drop') ? 'drop' : 'other'
}

function grantKind(stmt: Tree): string {
  return stmt['is_grant'] === true ? 'grant' : 'revoke'
}

function transactionKind(kind: unknown): string {
  if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') return 'begin'
  return kind === 'TRANS_STMT_COMMIT' ? 'commit' : 'other'
}

function limitOfSelect(select: Tree): number | 'none' | 'unclear' {
  const count = select['limitCount']
  if (count === undefined) return 'none'
  if (select['limitOption'] === 'LIMIT_OPTION_WITH_TIES') return 'unclear'
  const constant = isTree(count) ? count['A_Const'] : undefined
  if (!isTree(constant)) return 'unclear'
  // LIMIT ALL and LIMIT NULL.
  if (constant['isnull'] === true) return 'none'
  // A zero is left out of the tree.
  // A negative one is none to SQLite.
  const small = isTree(constant['ival']) ? Number(constant['ival']['ival'] ?? 0) : undefined
  if (small !== undefined) return small < 0 ? 'unclear' : small
  const large = isTree(constant['fval']) ? Number(constant['fval']['fval']) : Number.NaN
  return Number.isFinite(large) && large >= 0 ? large : 'unclear'
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text of a `{"String": {"sval": …}}` node, else the empty string. */
function stringOf(node: unknown): string {
  const text = isTree(node) && isTree(node['String']) ? node['String']['sval'] : ''
  return typeof text === 'string' ? text : ''
}
