// Errors of the system, as node:net would have said them.
import { getSystemErrorName } from 'node:util'

/** `number` is negative, as libuv has it. */
export function systemError(number: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(number)
  return Object.assign(new Error(`${call} ${code}`), { code, errno: number, syscall: call })
}
