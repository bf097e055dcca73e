// The package: its size, types and dependencies.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, folder), "utf8");

test("it is at most 12 kB, minified and compressed, without supabase-js", async () => {
  const { outputFiles } = await build({
    entryPoints: [new URL("src/index.ts", folder).pathname],
    bundle: true, minify: true, format: "esm", target: "es2022", external: ["@supabase/supabase-js"], write: false,
  });
  const { length } = gzipSync(outputFiles[0]!.contents, { level: 9 });
  console.log(`${length} bytes`);
  expect(length).toBeLessThanOrEqual(12_000);
});

test("the types are those of docs/openapi.yaml", async () => {
  const generated = astToString(await openapiTS(new URL("../../docs/openapi.yaml", folder)));
  expect(read("src/openapi.ts").endsWith(generated), "run `npm run types` in clients/javascript").toBe(true);
});

test("supabase-js is the only dependency", () => {
  const { dependencies, peerDependencies } = JSON.parse(read("package.json"));
  expect(dependencies).toBeUndefined();
  expect(Object.keys(peerDependencies)).toEqual(["@supabase/supabase-js"]);
});
