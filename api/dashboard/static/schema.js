// What the api accepts, as its OpenAPI document declares it: fields with their types, bounds and defaults.

import { ask } from "./client.js";

const API = "/api/v1";

let openapi = null;

/** Reads the document, once per page. Throws Problem. */
export async function load() {
  openapi ??= await ask("GET", "/openapi.json");
}

/** The schema of the body of `POST path`. */
export const body = (path) =>
  resolve(openapi.paths[API + path].post.requestBody.content["application/json"].schema);

/** The schema of a property; of one element, if the property is a list. */
export function part(schema, name) {
  const found = resolve(schema.properties[name]);
  return found.type === "array" ? resolve(found.items) : found;
}

/** The fields of an object, in the order of their declaration. */
export const fields = (schema) => Object.entries(schema.properties)
  .map(([name, found]) => field(name, resolve(found), schema.required?.includes(name) ?? false));

/** One of them. */
export const fieldOf = (schema, name) => fields(schema).find((one) => one.name === name);

/** `needed`: without a default. `nullable`: may be left out by giving null. `kind`: how it is edited. */
function field(name, found, needed) {
  const types = (found.anyOf ?? [found]).map(resolve);
  const nullable = types.some(({ type }) => type === "null");
  const [type, ...others] = types.filter((one) => one.type !== "null");
  const one = others.some((other) => other.type !== type.type) ? {} : type;
  return {
    name, needed, nullable, kind: kind(one), values: one.enum, pattern: one.pattern,
    help: found.description ?? "", initial: found.default ?? null, ...bounds(one),
  };
}

function kind({ enum: values, type, items }) {
  if (values) return "choice";
  if (type === "array") return resolve(items).type === "string" ? "list" : "json";
  return { boolean: "toggle", integer: "number", number: "number", string: "text" }[type] ?? "json";
}

/** As attributes of an input. */
function bounds(type) {
  if (type.type === "string") return { minlength: type.minLength, maxlength: type.maxLength };
  const step = type.multipleOf ?? (type.type === "integer" ? 1 : "any");
  const inside = step === "any" ? 0 : step; // a bound that is excluded, for the nearest number that is not
  return {
    step,
    min: type.minimum ?? shifted(type.exclusiveMinimum, inside),
    max: type.maximum ?? shifted(type.exclusiveMaximum, -inside),
  };
}

const shifted = (bound, by) => (bound === undefined ? undefined : bound + by);

/** The schema that a reference names, with what stands beside the reference. */
function resolve(schema) {
  if (!schema.$ref) return schema;
  const { $ref, ...beside } = schema;
  const found = $ref.slice(2).split("/").reduce((at, name) => at[name], openapi);
  return { ...resolve(found), ...beside };
}
