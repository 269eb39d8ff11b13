/**
 * What the program `http` answers: some routes that show the stack at work, and files.
 *
 * @module
 */

import { staticMiddleware } from "srvx/static";
import type { Counters, Stack } from "../../mod.ts";
import type { ServeHandlerInfo } from "../../stack/application/http.ts";

/** What the site shows. */
export interface SiteOptions {
  /** Of which counters and connections are shown. */
  readonly stack: Pick<Stack, "pool"> & { readonly counters: Counters };
  /** The folder whose files are served, or null. */
  readonly folder: string | null;
  /** The time. */
  readonly now: () => Date;
}

/** Answers one path. */
interface Route {
  readonly methods: readonly string[];
  readonly help: string;
  answer(request: Request, info: ServeHandlerInfo): Response | Promise<Response>;
}

const reading = ["GET", "HEAD"];

/** Requests and what becomes of them. */
export class Site {
  /** How many requests have been answered. */
  requests = 0;

  readonly #options: SiteOptions;
  readonly #routes: Readonly<Record<string, Route>>;
  readonly #files: ReturnType<typeof staticMiddleware> | null;

  /** A site. */
  constructor(options: SiteOptions) {
    this.#options = options;
    this.#files = options.folder === null ? null : staticMiddleware({ dir: options.folder });
    this.#routes = {
      "/": { methods: reading, help: "this page", answer: () => this.#index() },
      "/echo": {
        methods: ["POST", "PUT", "PATCH"],
        help: "the request's body, as it comes (POST)",
        answer: (request) => echo(request),
      },
      "/headers": {
        methods: reading,
        help: "the request as it arrived",
        answer: (request, { remoteAddr }) =>
          Response.json({
            method: request.method,
            url: request.url,
            from: `${remoteAddr.hostname}:${remoteAddr.port}`,
            headers: Object.fromEntries(request.headers),
          }),
      },
      "/time": { methods: reading, help: "the time", answer: () => new Response(`${options.now().toISOString()}\n`) },
      "/stats": {
        methods: reading,
        help: "counters of the stack",
        answer: () =>
          Response.json({
            requests: this.requests,
            packetsInUse: options.stack.pool.inUse,
            counters: options.stack.counters.snapshot({ nonZero: true }),
          }),
      },
    };
  }

  /** Answers a request. */
  readonly answer = async (request: Request, info: ServeHandlerInfo): Promise<Response> => {
    this.requests++;
    const path = decodePath(request.url);
    if (path === null) return plain(400, "Bad Request: the path cannot be decoded");
    if (this.#files !== null && (reading.includes(request.method))) {
      let found = true;
      const response = await this.#files(request, () => {
        found = false;
        return new Response();
      });
      if (found) return response;
    }
    const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (route === undefined) return plain(404, `Not Found: there is nothing at ${path}`);
    if (route.methods.includes(request.method)) return await route.answer(request, info);
    const allow = route.methods.join(", ");
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
    return plain(405, `Method Not Allowed: ${path} takes ${allow}`, { allow });
  };

  #index(): Response {
    const rows = Object.entries(this.#routes).map(([path, { help }]) =>
      `<tr><td><a href="${path}">${path}</a></td><td>${help}</td></tr>`
    );
    return html(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>tapstack</title>
<style>body { font: 1rem/1.5 system-ui; margin: 3rem auto; max-width: 40rem } td { padding-right: 2rem }</style>
<h1>This page came over tapstack</h1>
<p>Every byte of it went through a TCP/IP stack in user space.</p>
<table>${rows.join("")}</table>
<p>The time there: <output id="time">asking</output></p>
<script>
  const output = document.getElementById("time");
  fetch("/time").then((response) => response.text()).then((text) => output.textContent = text.trim());
</script>
</html>
`);
  }
}

function echo(request: Request): Response {
  const type = request.headers.get("content-type") ?? "application/octet-stream";
  return new Response(request.body, { headers: { "content-type": type } });
}

/** The path of a URL without its escapes; null if they make no sense. */
function decodePath(url: string): string | null {
  try {
    return decodeURIComponent(new URL(url).pathname);
  } catch {
    return null;
  }
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers } });
}

function html(text: string): Response {
  return new Response(text, { headers: { "content-type": "text/html; charset=utf-8" } });
}
