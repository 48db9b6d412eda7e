
"use strict";
// Sort a table by the column whose button was pressed: numbers as numbers, what is undefined last in both directions.
const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function compare(one, other, numeric, sign) {
  if (!numeric) return sign * words.compare(one.textContent.trim(), other.textContent.trim());
  const [x, y] = [one, other].map((cell) => parseFloat(cell.dataset.value ?? "NaN"));
  if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
  return sign * (x - y);
}

function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const numeric = head.classList.contains("number");
  const now = head.getAttribute("aria-sort");
  // The largest number first, the first word first; pressed again, the other way round.
  const order = now ? (now === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((one, other) => compare(one.cells[column], other.cells[column], numeric, sign));
  body.append(...rows);
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  document.getElementById("told").textContent = `Sorted by ${head.textContent}, ${order}`;
}

for (const button of document.querySelectorAll("table.sortable thead button"))
  button.addEventListener("click", () => sort(button.closest("th")));

// Tab reaches one point of a chart, and the arrow keys go from there to the others.
const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

function step(event) {
  const points = [...event.currentTarget.querySelectorAll(".point")], at = points.indexOf(event.target);
  const by = steps[event.key];
  if (!by || at < 0) return;
  event.preventDefault();
  const next = points[(at + by + points.length) % points.length];
  event.target.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

for (const chart of document.querySelectorAll("svg.points")) chart.addEventListener("keydown", step);

// Printed pages and links have no closed parts.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
