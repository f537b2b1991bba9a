/** The text of a script that runs in Redis. The build puts it into the bundle. */
declare module "*.lua" {
  const script: string;
  export default script;
}
