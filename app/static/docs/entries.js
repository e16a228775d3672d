/* What the search finds: an index of the page, and the order of what matches. */

/**
 * An entry. `where` is the title of the section that contains it, `text` its explanation, and `more` what else is
 * searched: further paragraphs, values, and the texts of the section around it. Of entries that match as well, the
 * one with the lower `rank` comes first.
 * @typedef {{name: string, kind: string, rank: number, where: string, text: string, more: string, element: any}} Entry
 */

/** The rank of what responses have. */
const RESPONSE_RANK = 3;

/** `data-kind` of a section -> its name, its rank and the rank of its fields. */
const KINDS = {
  group: ["Section", 0, 1],
  guide: ["Section", 0, 1],
  route: ["Route", 0, 1],
  operation: ["Operation", 0, 1],
  webhook: ["Webhook", 0, 1],
  problem: ["Problem type", 2, 2],
  "error-code": ["Error code", 2, 2],
  schema: ["Schema", RESPONSE_RANK, RESPONSE_RANK],
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

const titleOf = (section) => words(section.querySelector("h2, h3"));

/** Return the elements of a section that are not in a section inside of it. */
const own = (section, selector) =>
  Array.from(section.querySelectorAll(selector)).filter((element) => element.closest("[data-kind]") === section);

const paragraphsOf = (section) => own(section, "p:not(details p)").map(words);

function ofSection(section) {
  const [kind, rank] = KINDS[section.dataset.kind];
  const [text = "", ...others] = paragraphsOf(section);
  return { name: titleOf(section), kind, rank, where: "", text, more: others.join(" "), element: section };
}

function fieldsOf(section) {
  const around = paragraphsOf(section).join(" ");
  return own(section, "tbody tr").map((row) => ({
    name: words(row.querySelector("th")),
    kind: PLACES[words(row.cells[1])] ?? "Field",
    rank: KINDS[section.dataset.kind][2],
    where: titleOf(section),
    text: words(row.cells[3]),
    more: `${words(row.cells[2])} ${words(row.closest("details")?.querySelector("summary"))} ${around}`,
    element: row,
  }));
}

function headersOf(section) {
  return own(section, ".header").map((header) => ({
    name: words(header),
    kind: "Response header",
    rank: RESPONSE_RANK,
    where: titleOf(section),
    text: "",
    more: words(header.closest("details").querySelector("summary")),
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

/** The cost of a word by its best place in an entry; ranks, 0 to 3, decide between equal costs. */
const COST = { name: 0, plural: 2, wordOfName: 4, nameBegins: 8, wordBegins: 12, inName: 16, text: 24, where: 28, more: 32 };

/** What parts of responses cost more, unless the query is their name: one searches for parts of requests more often. */
const RESPONSE_COST = 16;

/** Return how far an entry is from the words: next to 0 if they are its name, infinite if one of them is not in it. */
function costOf({ name, kind, rank, where, text, more }, asked) {
  const [title, section, first, rest] = [name, `${kind} ${where}`, text, more].map((each) => each.toLowerCase());
  if (title === asked.join(" ")) return rank;
  const cost = asked.reduce((sum, word) => sum + costOfWord(word, title, section, first, rest), 0);
  // Of equally good names, the shorter one is meant: "GET /tasks" before "GET /tasks/{task_id}".
  const length = cost < COST.text ? Math.min(name.length, 99) / 100 : 0;
  return cost + rank + length + (rank === RESPONSE_RANK ? RESPONSE_COST : 0);
}

function costOfWord(word, name, where, text, more) {
  if (name === word) return COST.name;
  if (name === `${word}s` || word === `${name}s`) return COST.plural;
  if (name.split(/[^\w-]+/).includes(word)) return COST.wordOfName;
  if (name.startsWith(word)) return COST.nameBegins;
  if (beginsWord(name, word)) return COST.wordBegins;
  if (name.includes(word)) return COST.inName;
  if (beginsWord(text, word)) return COST.text;
  if (beginsWord(where, word)) return COST.where;
  return beginsWord(more, word) ? COST.more : Number.POSITIVE_INFINITY;
}

/** Return whether a word of a text begins with `word`, as "tasks" does in "GET /tasks" and "full" in "429 queue-full". */
function beginsWord(text, word) {
  const beginsWithSign = /^[^a-z0-9]/.test(word);
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (at === 0 || beginsWithSign || !/[a-z0-9]/.test(text[at - 1])) return true;
  }
  return false;
}
