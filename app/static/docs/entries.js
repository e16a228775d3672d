/* What the search finds: an index of the page, and the order of what matches. */

/**
 * An entry. `where` is the title of the section that contains it, `text` its explanation.
 * @typedef {{name: string, kind: string, where: string, text: string, element: any}} Entry
 */

/** The kinds of sections, in the order in which equally good matches are listed. */
const KINDS = {
  route: "Route",
  operation: "Operation",
  webhook: "Webhook",
  problem: "Problem type",
  "error-code": "Error code",
  schema: "Schema",
};
const PLACES = { query: "Query parameter", header: "Header", path: "Path parameter" };

/**
 * Return the entries of the page: its sections, and the fields, parameters and headers in them.
 * @returns {Entry[]}
 */
export function entriesOf(text) {
  const sections = Array.from(text.querySelectorAll("[data-kind]"));
  const parts = sections.flatMap((section) => [...fieldsOf(section), ...headersOf(section)]);
  const known = new Set();
  const once = parts.filter(({ kind, name, where }) => {
    const key = `${kind} ${name} ${where}`;
    return !known.has(key) && known.add(key);
  });
  return [...sections.map(ofSection), ...once];
}

const words = (element) => element?.textContent.trim() ?? "";

const titleOf = (section) => words(section.querySelector("h3"));

function ofSection(section) {
  return {
    name: titleOf(section),
    kind: KINDS[section.dataset.kind],
    where: "",
    text: words(section.querySelector("p")),
    element: section,
  };
}

function fieldsOf(section) {
  return Array.from(section.querySelectorAll("tbody tr"), (row) => ({
    name: words(row.querySelector("th")),
    kind: PLACES[words(row.cells[1])] ?? "Field",
    where: titleOf(section),
    text: words(row.cells[3]),
    element: row,
  }));
}

function headersOf(section) {
  return Array.from(section.querySelectorAll(".header"), (header) => ({
    name: words(header),
    kind: "Response header",
    where: titleOf(section),
    text: "",
    element: header.closest("details"),
  }));
}

/**
 * Return the best entries for a query, each of whose words occurs in the entry.
 * @param {Entry[]} entries
 * @param {string} query
 * @param {number} limit
 */
export function search(entries, query, limit) {
  const asked = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!asked.length) return [];
  return entries
    .map((entry, position) => ({ entry, position, cost: costOf(entry, asked) }))
    .filter(({ cost }) => cost < Number.POSITIVE_INFINITY)
    .sort((one, other) => one.cost - other.cost || one.position - other.position)
    .slice(0, limit)
    .map(({ entry }) => entry);
}

/** What is part of a section comes after sections that match as well, unless its name is what was asked for. */
const PART_COST = { Field: 1.5, "Query parameter": 1.5, "Path parameter": 1.5, Header: 1.5, "Response header": 3.5, Schema: 1.5 };

/** Return how far an entry is from the words: 0 if they are its name, infinite if one of them is not in it. */
function costOf(entry, asked) {
  const [name, where, text] = [entry.name, `${entry.kind} ${entry.where}`, entry.text].map((each) => each.toLowerCase());
  const ofWord = (word) => {
    if (name === word) return 0;
    if (beginsWord(name, word)) return 1;
    if (name.includes(word)) return 4;
    if (where.includes(word)) return 8;
    return text.includes(word) ? 16 : Number.POSITIVE_INFINITY;
  };
  // Of equally good names, the shorter one is meant: "GET /tasks" before "GET /tasks/{task_id}".
  return asked.reduce((cost, word) => cost + ofWord(word), (PART_COST[entry.kind] ?? 0) + Math.min(name.length, 99) / 100);
}

/** Return whether a part of a name begins with `word`, as "tasks" does in "GET /tasks" and "full" in "429 queue-full". */
function beginsWord(name, word) {
  for (let at = name.indexOf(word); at >= 0; at = name.indexOf(word, at + 1)) {
    if (at === 0 || !/[a-z0-9]/.test(name[at - 1])) return true;
  }
  return false;
}
