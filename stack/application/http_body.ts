/**
 * Bodies of responses that break off.
 *
 * undici tells the reader of a body that the connection has failed, or that the request was aborted, only where Node's
 * `isReadable` knows web streams. Under Deno it does not, and the reader would wait for ever.
 *
 * @module
 */

import { DecoratorHandler, type Dispatcher } from "./deps/undici.ts";

/** Notes the failure of a request's response. */
class FailureWatch extends DecoratorHandler {
  readonly #onFailure: (error: Error) => void;

  constructor(handler: Dispatcher.DispatchHandler, onFailure: (error: Error) => void) {
    super(handler);
    this.#onFailure = onFailure;
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#onFailure(error);
    (DecoratorHandler.prototype as Dispatcher.DispatchHandler).onResponseError?.call(this, controller, error);
  }
}

/** The same dispatcher for one request, whose failure is told to `onFailure`. */
export function watchFailure(dispatcher: Dispatcher, onFailure: (error: Error) => void): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) =>
    dispatch(options, new FailureWatch(handler, onFailure) as Dispatcher.DispatchHandler)
  );
}

/** The same body, which fails with the reason of `failure` when that is aborted. */
export function failingBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  failure: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream({
    start(controller) {
      const fail = () => {
        controller.error(failure.reason);
        reader.cancel(failure.reason).catch(() => {});
      };
      if (failure.aborted) return fail();
      failure.addEventListener("abort", fail);
      reader.closed.then(() => failure.removeEventListener("abort", fail), () => {});
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (failure.aborted) return;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
