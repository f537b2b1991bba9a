export { servicesAreRequired } from "./environment.ts";
export { type FerretdbLack, ferretdbLacks, lacks } from "./ferretdb-lacks.ts";
export { type PgbouncerOptions, startPgbouncer } from "./pgbouncer.ts";
export { redactUrl } from "./redact-url.ts";
export {
  type ElasticsearchServiceOptions,
  isAvailable,
  type MongodbServiceOptions,
  type OptionsByKind,
  type PostgresqlServiceOptions,
  type RedisServiceOptions,
  type ServiceKind,
  type ServiceOptions,
  ServiceUnavailableError,
  serviceKinds,
  type TestService,
  type UnavailableService,
} from "./service.ts";
export { startService, startServices } from "./start.ts";
export { startProxy } from "./tcp-proxy.ts";
