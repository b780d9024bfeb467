// The time for templates that write it, in English, whatever the browser speaks.

const PARTS = {
  Y: { year: "numeric" },
  B: { month: "long" },
  b: { month: "short" },
  A: { weekday: "long" },
  a: { weekday: "short" },
};
const NUMBERS = {
  m: (now) => now.getMonth() + 1,
  d: (now) => now.getDate(),
  H: (now) => now.getHours(),
  M: (now) => now.getMinutes(),
  S: (now) => now.getSeconds(),
};

/** As Python's strftime: "%d %b %Y" → "21 Nov 2026". */
export function clock(form, now = new Date()) {
  return form.replace(/%(.)/g, (mark, letter) => {
    if (letter === "%") return "%";
    if (PARTS[letter]) return now.toLocaleDateString("en-US", PARTS[letter]);
    if (!NUMBERS[letter]) throw new Error(`strftime ${mark}`);
    return String(NUMBERS[letter](now)).padStart(2, "0");
  });
}
