/**
 * WebSocket, from ws.
 *
 * @module
 */

// @ts-types="npm:@types/ws@8.18.2"
export { createWebSocketStream, default as WebSocket, WebSocketServer } from "npm:ws@8.23.0";
