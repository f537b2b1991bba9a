export type { ElasticsearchNativeQuery } from "./query/native-query.ts";
export { elasticsearchStarter } from "./starter.ts";
export { ELASTICSEARCH_TYPE_MAPPING, type ElasticsearchTypeMapping } from "./types.ts";
