// One answer, from the question to its last word.

/**
 * Let `model` answer; `show(text)` is called with all that is there so far. Gives {model, content, tokens, speed,
 * ended}: speed in tokens per second after the first; ended "" where the model ended it, else "stopped" or "failed".
 * A failure is thrown where nothing was said.
 */
export async function talk(backend, model, messages, options, signal, show) {
  const pieces = backend.answer(model, messages, options, signal);
  let [content, tokens, ended, first] = ["", null, "", 0];
  try {
    let step = await pieces.next();
    first = performance.now();
    for (; !step.done; step = await pieces.next()) {
      content += step.value;
      show(content);
    }
    tokens = step.value?.tokens ?? null;
    ended = signal.aborted ? "stopped" : "";
  } catch (error) {
    if (!signal.aborted && !content) throw error;
    ended = signal.aborted ? "stopped" : "failed";
  }
  const seconds = (performance.now() - first) / 1000;
  return { model, content, tokens, speed: tokens > 1 && seconds ? (tokens - 1) / seconds : null, ended };
}
