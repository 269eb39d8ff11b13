/**
 * Requests of the web on Node's HTTP server, from srvx.
 *
 * @module
 */

export { NodeRequest } from "npm:srvx@1.0.8/node";
