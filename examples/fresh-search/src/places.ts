const {
  POSTGRESQL_URL: database = "postgresql://localhost/postgres",
  ELASTICSEARCH_URL: server = "http://localhost:9200",
  SCHEMA = "shop",
  INDEX = "fresh-products",
} = process.env;

export { database, server };
export const schema = SCHEMA;
export const index = INDEX;

/** The table that is followed, with values as Elasticsearch wants them. */
export const source = `${database}${database.includes("?") ? "&" : "?"}table=${schema}.products&values=plain`;

/** The index that is searched. */
export const target = `elasticsearch${server.replace(/^https?/, (protocol) => (protocol === "https" ? "+https" : ""))}/${index}`;

/** The follower's name: the server keeps its place by it. */
export const transferId = "product-search";
