// The globals that Node.js, browsers and React Native share. Without the DOM's types, the compiler refuses any others.

/** The parts of a response that the client reads. */
export interface Response {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}

/** A request. `onProgress` is called with the uploaded share of the body, from 0 to 1, if the platform reports it. */
export interface Request {
  readonly method: string;
  readonly headers: Record<string, string>;
  // `any`, because each platform has its own types for these two.
  readonly body?: any;
  readonly signal?: any;
  readonly onProgress?: ((share: number) => void) | undefined;
}

/** The platform's `fetch`, or a replacement. */
export type Fetch = (url: string, request: Request) => Promise<Response>;

interface Signal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
}

interface UploadRequest {
  readonly status: number;
  readonly responseText: string;
  readonly upload: { onprogress: ((event: { loaded: number; total: number }) => void) | null };
  onload: (() => void) | null;
  onerror: (() => void) | null;
  onabort: (() => void) | null;
  open(method: string, url: string): void;
  setRequestHeader(name: string, value: string): void;
  getResponseHeader(name: string): string | null;
  send(body: unknown): void;
  abort(): void;
}

export const platform = globalThis as unknown as {
  AbortController: new () => { readonly signal: Signal; abort(): void };
  FormData: new () => { append(name: string, value: unknown, filename?: string): void };
  XMLHttpRequest?: new () => UploadRequest;
  atob(base64: string): string;
  clearTimeout(timer: unknown): void;
  fetch(url: string, request?: Request): Promise<Response & { blob(): Promise<unknown> }>;
  setTimeout(callback: () => void, milliseconds: number): unknown;
};

export const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => platform.setTimeout(resolve, milliseconds));

/** The default `fetch`: the platform's or, for an upload, one that reports its progress. */
export const transport: Fetch = (url, request) =>
  request.onProgress && platform.XMLHttpRequest
    ? upload(new platform.XMLHttpRequest(), url, request)
    : platform.fetch(url, request);

function upload(xhr: UploadRequest, url: string, { method, headers, body, signal, onProgress }: Request) {
  return new Promise<Response>((resolve, reject) => {
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => onProgress?.(loaded / total);
    xhr.onload = () =>
      resolve({
        status: xhr.status,
        headers: { get: (name) => xhr.getResponseHeader(name) },
        text: async () => xhr.responseText,
      });
    xhr.onerror = xhr.onabort = () => reject(new TypeError("upload failed"));
    (signal as Signal | undefined)?.addEventListener("abort", () => xhr.abort());
    xhr.send(body);
  });
}
