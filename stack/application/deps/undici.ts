/**
 * HTTP clients, from undici.
 *
 * Here and in the files beside this one, packages are named in full: a bare name would be looked up in the import map
 * of whatever project imports these modules.
 *
 * @module
 */

export {
  Agent,
  DecoratorHandler,
  type Dispatcher,
  fetch,
  type RequestInit as UndiciRequestInit,
} from "npm:undici@8.12.4";
