// The API reference: the quickstarts and docs/openapi.yaml, shown by Scalar with the demo tenant's key.

import { debounced } from "./dom.js";

/** The demo tenant's key, which supabase/seed.sql creates. */
const KEY = "pk_test_DemoTenantOnlyForLocalUse01";

const QUICKSTARTS = ["curl", "javascript", "python", "dart", "tokens", "push", "queue"];

/** Languages without samples. */
const HIDDEN = ["c", "clojure", "csharp", "fsharp", "go", "http", "java", "julia", "kotlin", "objc", "ocaml", "php", "powershell", "r", "ruby", "rust", "swift"];

const text = async (path) => (await fetch(path)).text();
const [document_, ...quickstarts] = await Promise.all([text("/docs/openapi.json"), ...QUICKSTARTS.map((name) => text(`/docs/quickstart/${name}.md`))]);
const content = JSON.parse(document_);
// Links between files of the repository don't work here.
const unlinked = quickstarts.map((markdown) => markdown.replace(/\[([^\]]+)\]\((?!https?:)[^)]*\)/g, "$1"));
content.info.description = [content.info.description, ...unlinked].join("\n\n");

window.Scalar.createApiReference("#reference", {
  content,
  servers: [{ url: location.origin, description: "The local cloud" }],
  authentication: { preferredSecurityScheme: "apiKey", securitySchemes: { apiKey: { value: KEY } } },
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
  hiddenClients: HIDDEN,
  defaultOpenAllTags: true,
  documentDownloadType: "none",
  hideClientButton: true,
  showDeveloperTools: "never",
  // No requests to other servers.
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: "",
  agent: { disabled: true },
  mcp: { disabled: true },
});

/** Corrects the accessibility of the library's elements. */
function complete() {
  // The library declares a text box as a combobox.
  for (const box of document.querySelectorAll('[role="combobox"]:not([aria-expanded])')) box.setAttribute("role", "textbox");
  for (const code of document.querySelectorAll("code.custom-scroll:not([tabindex])")) {
    if (code.scrollWidth > code.clientWidth || code.scrollHeight > code.clientHeight) code.tabIndex = 0;
  }
}
new MutationObserver(debounced(100, complete)).observe(document.body, { childList: true, subtree: true });
