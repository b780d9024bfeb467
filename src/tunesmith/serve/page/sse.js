// Server-sent events in a response body.

/** The data of each event, in order. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let pending = "";
    for (let step; !(step = await reader.read()).done; ) {
      const lines = (pending + step.value).split(/\r?\n/);
      pending = lines.pop();
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } finally {
    reader.cancel().catch(() => {}); // the body of an aborted request is gone already
  }
}
