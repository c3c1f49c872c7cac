// Node's own wrapper of libuv's streams, as far as connections use it without the stream classes around it.

// What node:net and node:stream do around each read, write, open and close costs more than all that we do for a request (bench/README.md).
// The binding is old and deprecated, and has no successor; Node's version comes by the lock file, and a Node without it is refused at start.

/** A write under way. */
export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void
  /** Whom to tell. */
  writer: unknown
  /** Kept from the garbage collector while the kernel has not taken it. */
  buffer: Buffer | undefined
}

/** A FIN under way. */
export interface ShutdownRequest {
  oncomplete: (this: ShutdownRequest, status: number) => void
  /** Whom to tell. */
  owner: unknown
}

/** The part of node's TCP handle that is used. Functions that return a number return 0 or a negative error number. */
export interface StreamHandle {
  readonly writeQueueSize: number
  /** Called with what was read in `streamBaseState`; what it returns, if anything, is the memory for the next read. */
  onread: (this: StreamHandle, nothing: undefined) => Uint8Array | undefined
  /** Ours: whom `onread` is for. */
  owner?: unknown
  /** Where reads go, until `onread` returns other memory. */
  useUserBuffer(memory: Uint8Array): void
  /** Fills in the address of the other end. */
  getpeername(into: { address?: string }): number
  readStart(): number
  readStop(): number
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Buffer): number
  /** 1: it is over already, and `request` is not used. */
  shutdown(request: ShutdownRequest): number
  close(closed: (this: StreamHandle) => void): void
  /** Closes with a reset. */
  reset(closed: (this: StreamHandle) => void): number
}

export interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest
  readonly ShutdownWrap: new () => ShutdownRequest
  /** What the last call or callback was about, at the two places below. */
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
  readonly kLastWriteWasAsync: number
}

function findBinding(): StreamBinding {
  const { binding } = process as unknown as { readonly binding?: (name: string) => Partial<StreamBinding> }
  const found = binding?.('stream_wrap') ?? {}
  const missing = (['WriteWrap', 'ShutdownWrap', 'streamBaseState', 'kReadBytesOrError', 'kLastWriteWasAsync'] as const).filter((name) => found[name] === undefined)
  if (missing.length > 0) throw new Error(`Node ${process.version} has no ${missing.join(', ')} in its stream_wrap binding: run Serai with the Node that its lock file names`)
  return found as StreamBinding
}

export const streamBinding = findBinding()
