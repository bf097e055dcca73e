import { defineConfig } from "vitest/config";

// `cloud` needs the local cloud, which `make client` starts.
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/*.test.ts"] } },
      { test: { name: "cloud", include: ["test/cloud/*.test.ts"], testTimeout: 60_000 } },
    ],
  },
});
