// The statuses of gRPC calls as they are counted and logged: gRPC's own, one place for all other values, and one for calls that got none.

/** Labels of the metric, in the order of the places. */
export const grpcStatuses = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16', 'other', 'none'] as const
/** A value that is no status of gRPC. */
export const OTHER_STATUS = 17
/** The call got none: its stream was cut, its client went away, or the answer was no gRPC. */
export const NO_STATUS = 18
/** It was no call of gRPC. */
export const NOT_GRPC = -1

/** The place of a `grpc-status`; undefined: there is none. */
export function grpcStatusFrom(value: string | undefined): number {
  if (value === undefined) return NO_STATUS
  return /^(?:[0-9]|1[0-6])$/.test(value) ? Number(value) : OTHER_STATUS
}
