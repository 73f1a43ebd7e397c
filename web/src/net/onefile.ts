import { pack } from "../base/bytes.ts";
import type { Capture } from "./capture.ts";
import { CAPTURE_ID } from "./source.ts";

/** A page's own code and style. */
export interface Code {
  readonly script: string;
  readonly style: string;
}

const SCRIPT_ID = "sockreel-script";
const STYLE_ID = "sockreel-style";

/** Where the daemon has the page's code in one piece; the page that it serves loads parts when they are needed. */
const ONE_PIECE = "/onefile.js";

/** The code of a page: from the daemon, or out of the file that this one is. */
export async function ownCode(): Promise<Code> {
  const [script, style] = [document.getElementById(SCRIPT_ID), document.getElementById(STYLE_ID)];
  if (script && style) return { script: script.textContent ?? "", style: style.textContent ?? "" };
  const sheets = [...document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")];
  const [code, ...styles] = await Promise.all([ONE_PIECE, ...sheets.map(({ href }) => href)].map(text));
  return { script: harmless(code ?? ""), style: styles.join("\n") };
}

async function text(path: string): Promise<string> {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`the server answered ${answer.status} to ${path}`);
  return answer.text();
}

/** Inside of a script element these would end it, or hide its end (HTML, 13.1.3.1, script content restrictions). */
function harmless(script: string): string {
  return script.replaceAll(/<(?=\/script|script|!--)/gi, "\\x3c");
}

/**
 * One HTML file: code, style and a capture. Its policy lets that code run and nothing else, and nothing be asked for;
 * what is captured is packed into letters and digits, so that no name in it can be taken for markup.
 */
export async function pageOf({ script, style }: Code, capture: Capture): Promise<string> {
  const policy = [
    "default-src 'none'",
    `script-src '${await hash(script)}'`,
    `style-src '${await hash(style)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const packed = await pack(JSON.stringify(capture));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>sockreel, captured</title>
<style id="${STYLE_ID}">${style}</style>
</head>
<body>
<div id="app"></div>
<noscript>This file shows a captured timeline of sockets. It needs JavaScript, and no network.</noscript>
<script type="application/octet-stream" id="${CAPTURE_ID}">${packed}</script>
<script type="module" id="${SCRIPT_ID}">${script}</script>
</body>
</html>
`;
}

/** As a source of a content security policy (CSP level 3, section 2.3.1). */
async function hash(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `sha256-${btoa(String.fromCharCode(...digest))}`;
}
