// Tables can be sorted and searched once they come into view, selectors act on all of them, records open in a dialog.
const SELECTORS = [...document.querySelectorAll("#filters select[name]")];
const tables = new Map(); // by element

const dark = matchMedia("(prefers-color-scheme: dark)");
const darken = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", darken);
darken();

// Rows that say which framework, device, mode or workload they are of are shown where that is chosen.
const chosen = () => SELECTORS.filter((select) => select.value);
const fits = (row) => chosen().every(({ name, value }) => !(name in row.dataset) || row.dataset[name] === value);
DataTable.ext.search.push((settings, data, row) => fits(settings.aoData[row].nTr));

function enliven(table) {
  if (tables.has(table)) return;
  const rows = table.tBodies[0].rows.length;
  const long = rows > 60;
  const api = new DataTable(table, {
    order: [],
    autoWidth: false,
    paging: long,
    pageLength: 30,
    lengthMenu: [30, 100, { label: "all", value: -1 }],
    layout: { topStart: long ? "pageLength" : null, topEnd: rows > 5 ? "search" : null, bottomStart: "info", bottomEnd: long ? "paging" : null },
    language: { search: "search", info: "_TOTAL_ rows", infoEmpty: "no row", infoFiltered: "of _MAX_", lengthMenu: "_MENU_ rows" },
  });
  // Several on one page: each says which table it turns the pages of.
  const heading = [...document.querySelectorAll("main h2")].filter((each) => each.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
  const place = `${heading?.textContent ?? "table"}, table ${tables.size + 1}`;
  table.setAttribute("aria-label", place);
  api.on("draw", () => api.table().container().querySelector("nav")?.setAttribute("aria-label", `pages of ${place}`));
  tables.set(table, api);
  show(api);
}

function show(api) {
  const framework = SELECTORS.find(({ name }) => name === "framework")?.value;
  api.columns().every(function () {
    const own = this.header().dataset.framework;
    if (own) this.visible(!framework || framework === own, false);
  });
  api.draw();
}

function choose() {
  for (const table of searched()) enliven(table);
  for (const api of tables.values()) show(api);
  document.getElementById("chosen").value = chosen().map(({ name, value }) => `${name}: ${value}`).join(", ");
}

// What is chosen stands in the address, which can be sent to someone.
const SELECTS = [...document.querySelectorAll("#filters select")];
const keyed = (select) => select.name || select.id;
function write() {
  const words = new URLSearchParams(SELECTS.filter(({ value, id }) => value && !(id && value === "0")).map((each) => [keyed(each), each.value]));
  history.replaceState(null, "", `${location.pathname}${words.size ? `?${words}` : ""}${location.hash}`);
}
document.getElementById("filters").addEventListener("change", () => { choose(); write(); });

// Tables of the first screen stay as they are.
const searched = () => document.querySelectorAll("main table:not(.candidates table)");
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) enliven(entry.target);
}, { rootMargin: "400px" });
for (const table of searched()) seen.observe(table);

// One machine at a time: numbers of different hardware do not stand beside each other.
const machines = [...document.querySelectorAll("section.machine")];
const sections = document.querySelector("#sections div");
const wide = matchMedia("(min-width: 70rem)"); // there is room for the menu beside the results
const spread = () => { sections.parentElement.open = wide.matches; };
wide.addEventListener("change", spread);
spread();
function list() {
  const headings = [...document.querySelectorAll("section:not([hidden]) h2[id]")];
  const lead = (heading) => heading.closest("details")?.querySelector("a.elsewhere")?.hash ?? `#${heading.id}`; // to what was measured
  sections.replaceChildren(...headings.map((heading) => element("a", heading.textContent, { href: lead(heading) })));
}
function showMachine() {
  const chosenOne = Number(document.getElementById("machine")?.value ?? 0);
  machines.forEach((machine, number) => { machine.hidden = number !== chosenOne; });
  list();
}
document.getElementById("machine")?.addEventListener("change", showMachine);

// A link shows the machine that it leads to, and opens what its heading has folded.
function reveal(target) {
  const machine = machines.indexOf(target?.closest("section.machine"));
  if (machine >= 0 && machines[machine].hidden) {
    document.getElementById("machine").value = machine;
    showMachine();
    write();
  }
  for (let each = target?.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
}
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  reveal(target);
  target?.scrollIntoView();
}
addEventListener("hashchange", unfold);
document.addEventListener("click", (event) => {
  if (event.target.closest("a[href^='#']")?.hash === location.hash) unfold(); // the same again is no change
});

// What is wrong is shown, on whichever page of its table it stands.
document.addEventListener("click", (event) => {
  const link = event.target.closest(".line a");
  if (!link) return;
  const topic = document.getElementById(link.hash.slice(1)).closest("details");
  reveal(topic);
  for (const table of topic.querySelectorAll("table")) { enliven(table); tables.get(table).page.len(-1).draw(); }
  requestAnimationFrame(() => topic.querySelector("td.bad")?.scrollIntoView({ block: "center" }));
});

// What to train with: the rows of so many labels and of one framework.
for (const box of document.querySelectorAll(".candidates")) {
  const [labels, framework] = box.querySelectorAll("select");
  const rows = [...box.querySelectorAll("tbody tr")];
  const ask = () => {
    for (const row of rows) row.hidden = row.cells[0].textContent !== labels.value || row.cells[1].textContent !== framework.value;
    box.querySelector(".nothing").hidden = rows.some((row) => !row.hidden);
  };
  box.addEventListener("change", ask);
  if (labels?.value) ask();
  box.classList.toggle("asked", Boolean(labels?.value));
}

function element(name, content = "", attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...[content].flat());
  return made;
}

// Records: compressed in the page, read when the first is asked for.
let known;
async function records() {
  const text = document.getElementById("records").textContent.trim();
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

const say = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value));
function facts(record) {
  const body = element("tbody");
  for (const [name, value] of Object.entries(record)) {
    const said = say(value);
    const long = said.length > 200;
    const shown = long ? element("details", [element("summary", `${said.slice(0, 120)}…`), element("pre", JSON.stringify(value, null, 1))]) : said;
    body.append(element("tr", [element("th", name, { scope: "row" }), element("td", shown)]));
  }
  return element("table", body);
}

function article(record, environments, open) {
  const { again, environment, ...rest } = record;
  const title = ["kind", "claim", "usage", "task", "method", "dataset", "regime", "framework", "mode", "workload", "case", "block", "seed", "wrong"]
    .filter((name) => name in rest && rest[name] !== "").map((name) => (["block", "seed"].includes(name) ? `${name} ${rest[name]}` : rest[name])).join(", ");
  const place = environments[environment];
  const measure = element("p", ["measure it again: ", element("code", again)]);
  const where = element("details", [element("summary", `environment ${environment}`), place ? facts(place) : "not recorded"]);
  return element("article", element("details", [element("summary", `${title}: ${rest.status}`), measure, facts(rest), where], { open }));
}

const dialog = document.getElementById("record");
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-records]");
  if (!button) return;
  known ??= records();
  const found = await known;
  const numbers = button.dataset.records.split(" ");
  document.getElementById("record-title").textContent = numbers.length === 1 ? "Record" : `${numbers.length} records`;
  document.getElementById("record-body").replaceChildren(
    ...numbers.map((number, place) => article(found.records[number], found.environments, place === 0)));
  dialog.showModal();
});

addEventListener("beforeprint", () => {
  for (const topic of document.querySelectorAll("details.topic")) topic.open = true;
  for (const api of tables.values()) api.page.len(-1).draw();
});

const asked = new URLSearchParams(location.search);
for (const select of SELECTS) {
  const value = asked.get(keyed(select));
  if ([...select.options].some((option) => option.value === value)) select.value = value;
}
showMachine();
if (chosen().length) choose();
if (location.hash) unfold();
document.documentElement.dataset.ready = "yes";
