/** The URL without its credentials and its query, which may hold more of them: safe to print. */
export function redactUrl(url: string): string {
  // By hand and not by URL, which does not know mongodb://a:1,b:2/db with its several hosts.
  const [, scheme = "", rest = url] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(url) ?? [];
  const authority = rest.split(/[/?#]/, 1)[0] ?? "";
  const path = rest.slice(authority.length).split(/[?#]/, 1)[0] ?? "";
  // A password may itself hold an unescaped @, so everything up to the last one goes.
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  return scheme + (host === authority ? "" : "***@") + host + path;
}

/** Only `host:port` (or several of them), for a line that says where a server listens. */
export function hostOf(url: string): string {
  return redactUrl(url)
    .replace(/^[^/]*:\/\//, "")
    .replace(/^\*\*\*@/, "")
    .replace(/\/.*$/, "");
}
