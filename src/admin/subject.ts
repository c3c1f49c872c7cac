// What the admin server needs to know of the running program: plain data, made at the moment of asking.
import type { z } from 'zod'
import type { Problem } from '#src/catalog/catalog.ts'
import type { certificatesView, explanation, readinessView, routesView, servicesView, statusView } from './schema.ts'

/** The type without the right to change anything in it. */
type Plain<T> = T extends object ? { readonly [K in keyof T]: Plain<T[K]> } : T

export type StatusView = Plain<z.infer<typeof statusView>>
export type Readiness = Plain<z.infer<typeof readinessView>>
export type RouteView = Plain<z.infer<typeof routesView>['routes'][number]>
export type ServiceView = Plain<z.infer<typeof servicesView>['services'][number]>
export type EndpointView = ServiceView['endpoints'][number]
export type CertificateView = Plain<z.infer<typeof certificatesView>['certificates'][number]>
export type Explanation = Plain<z.infer<typeof explanation>>

/** What somebody asks to have explained. */
export interface Question {
  /** `http://host/path`. */
  readonly url: string
  readonly method: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** The running program, as the admin server sees it. Every method answers at once from memory. */
export interface Subject {
  status(): StatusView
  readiness(): Readiness
  routes(): readonly RouteView[]
  services(): readonly ServiceView[]
  problems(): readonly Problem[]
  certificates(): readonly CertificateView[]
  /** Throws a `QuestionError` when the question cannot be understood. */
  explain(question: Question): Explanation
  metrics(): Promise<string>
}
