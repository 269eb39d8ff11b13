/**
 * The programs' log: LogTape, one readable line a record, on standard error.
 *
 * @module
 */

import { configureSync, getLogger, getTextFormatter, type LogRecord } from "@logtape/logtape";
import type { Logger } from "../mod.ts";
import { InvalidValue, type Option } from "./cli.ts";
import { printable } from "./printable.ts";

/** How much a program says: everything from this level on. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** LogTape's names for the levels. */
const levels = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** The option `--log-level`. */
export const logLevel: Option<LogLevel> = {
  placeholder: "LEVEL",
  help: "What to log: debug (every segment and state change), info, warn or error (default: info)",
  fallback: "info",
  parse: (text) => {
    if (Object.hasOwn(levels, text)) return text as LogLevel;
    throw new InvalidValue(`give one of ${Object.keys(levels).join(", ")}`);
  },
};

/** The same for programs whose output is what they were asked for. */
export const quietLogLevel: Option<LogLevel> = {
  ...logLevel,
  help: logLevel.help.replace("(default: info)", "(default: warn)"),
  fallback: "warn",
};

const format = getTextFormatter({
  timestamp: "time",
  lineEnding: "lf",
  format: ({ timestamp, record, message }) => `${timestamp} ${nameOf(record).padEnd(5)} ${message}`,
});

function nameOf(record: LogRecord): string {
  return record.level === "warning" ? "warn" : record.level;
}

/** Starts logging at `level` and returns the logger. To be called once in a program. */
export function startLogging(level: LogLevel): Logger {
  configureSync({
    sinks: { standardError: (record) => console.error(format(record).trimEnd()) },
    loggers: [
      { category: ["tapstack"], lowestLevel: levels[level], sinks: ["standardError"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["standardError"] },
    ],
  });
  return plainTexts(getLogger(["tapstack"]));
}

/** LogTape reads `{name}` in a message as a placeholder; the stack's messages are plain texts, also of what peers said. */
function plainTexts(logger: Logger): Logger {
  const escape = (message: string) => printable(message).replaceAll("{", "{{").replaceAll("}", "}}");
  return {
    debug: (message) => logger.debug(escape(message)),
    info: (message) => logger.info(escape(message)),
    warn: (message) => logger.warn(escape(message)),
    error: (message) => logger.error(escape(message)),
  };
}
