// The live page: asks the monitor every 2 s for the run's state and for what the curves have gained.
import {draw, entry, short} from "./chart.js";

const EVERY = 2000;  // ms
const COLORS = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)"];
const OVER = ["ended", "stopped", "failed"];
const $ = (id) => document.getElementById(id);
const curves = {generation: -1, columns: [], rows: [], validation: [], resumed_at: []};
let run = null, answered = 0;

const whole = (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
  return `${(s / 86400).toFixed(1)} days`;
}
function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; value >= 1000 && i < 4; ++i) value /= 1000;
  return `${short(Number(value.toPrecision(3)))} ${units[i]}`;
}
function node(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function column(name) {
  const at = curves.columns.indexOf(name);
  if (at < 0) return [];
  return curves.rows.filter((row) => typeof row[at + 1] === "number").map((row) => [row[0], row[at + 1]]);
}

function drawCurves() {
  const marks = curves.resumed_at;
  const held = curves.validation.filter((v) => typeof v.values.total === "number").map((v) => [v.step, v.values.total]);
  draw($("chart-total"), [{name: "total", color: COLORS[0], points: column("total"), smooth: true},
    {name: "held-out", color: COLORS[1], points: held, dots: true}], {height: 240, marks});
  const terms = curves.columns.filter((c) => c.startsWith("term.") && c !== "term.acc");  // acc is a share, no loss
  draw($("chart-terms"), terms.map((c, i) => ({name: c.slice(5), color: COLORS[(i + 1) % COLORS.length], points: column(c), smooth: true})), {marks});
  for (const [id, name, color, smooth] of [["acc", "term.acc", 5, true], ["norm", "grad_norm", 3, true], ["lr", "lr", 2, false],
    ["ema", "ema", 4, false], ["speed", "pairs_per_s", 1, true], ["seconds", "seconds", 0, true]]) {
    const points = column(name);
    // What the objective does not have is not shown: an accuracy, a target network.
    if (id === "acc") $("chart-acc").parentElement.hidden = points.length === 0;
    if (id === "ema") $("chart-ema").parentElement.hidden = !run.record.has_target;
    draw($(`chart-${id}`), [{name: name.replace("term.", "").replaceAll("_", " "), color: COLORS[color], points, smooth}], {marks});
  }
}

function tile(label, value, note) {
  const box = node("div", undefined, "tile");
  box.append(node("span", label), node("b", value), node("span", note || "\u00a0"));
  box.dataset.label = label;
  return box;
}

function checkpointTile(record) {
  const save = record.checkpoint;
  if (!save) return tile("last checkpoint", "–", OVER.includes(run.state) ? "none" : "none yet");
  if (OVER.includes(run.state)) return tile("last checkpoint", `step ${whole(save.step)}`, bytes(save.bytes));
  return tile("last checkpoint", duration(save.age), `ago, step ${whole(save.step)}, ${bytes(save.bytes)}`);
}

function showTiles(p) {
  const last = (name) => column(name).at(-1)?.[1] ?? null;
  const record = run.record, loss = p?.terms.total ?? last("total"), epoch = p?.epoch ?? last("epoch");
  const steps = p?.step ?? record.reached_steps, planned = p?.total_steps ?? record.planned_steps;
  $("tiles").replaceChildren(
    tile("step", whole(steps), planned ? `of ${whole(planned)}` : steps ? "made" : "none yet"),
    tile("epoch", epoch === null ? "–" : whole(epoch), p ? `of ${whole(p.total_epochs)}, counted from 0` : "counted from 0"),
    tile("loss", short(loss), p?.validation_total ? `held-out ${short(p.validation_total)}` : "mean over all ranks"),
    tile("pairs/s", short(p?.pairs_per_s ?? last("pairs_per_s")), p ? `${p.world} ${p.world === 1 ? "rank" : "ranks"}` : "last logged"),
    checkpointTile(record),
    tile("skipped steps", whole(p?.skipped ?? record.skipped), "non-finite"));
}

// Without a worker here the log of rank 0 says where the time went.
function showParts(workers) {
  const logged = Object.keys(run.record.parts).length > 0 ? [{rank: 0, parts: run.record.parts}] : [];
  const shown = workers.length > 0 ? workers : logged;
  $("parts").replaceChildren();
  $("parts-legend").replaceChildren();
  $("parts").parentElement.hidden = shown.length === 0;
  for (const w of shown) {
    const row = node("div", undefined, "rankbar"), stack = node("div", undefined, "stack");
    const sum = Object.values(w.parts).reduce((a, b) => a + (b || 0), 0) || 1;
    for (const [name, label] of run.part_labels) {
      const share = (w.parts[name] || 0) / sum;
      const piece = node("div", share > 0.045 ? `${Math.round(share * 100)} %` : "");
      piece.style.width = `${share * 100}%`;
      piece.style.background = `var(--p-${name})`;
      piece.title = `${label}: ${(share * 100).toFixed(1)} % (${name})`;
      stack.append(piece);
    }
    row.append(node("span", `rank ${w.rank}`), stack);
    $("parts").append(row);
  }
  for (const [name, label] of run.part_labels) {
    const item = entry(`var(--p-${name})`, label);
    item.title = name;
    $("parts-legend").append(item);
  }
}

function showRanks(workers) {
  const rows = workers.map((w) => {
    const row = node("tr", undefined, w.alive || w.phase === "done" ? "" : "dead");
    const late = w.phase === "train" && w.last_step_age > Math.max(15, 10 * w.step_seconds);
    row.append(node("td", w.rank), node("td", w.alive ? w.phase : w.phase === "done" ? "done" : `dead (${w.phase})`), node("td", whole(w.step)),
      node("td", w.last_step_age === null ? "–" : `${duration(w.last_step_age)} ago`, late ? "late" : ""),
      node("td", `${short(w.step_seconds)} s`), node("td", `${w.queue_depth} of ${w.queue_capacity}`), node("td", bytes(w.bytes_read)),
      node("td", whole(w.quarantined)), node("td", bytes(w.resident_bytes)));
    return row;
  });
  $("ranks").replaceChildren(...rows);
  $("ranks").closest("section").hidden = rows.length === 0;
}

function showBanner(text, kind) {
  $("banner").hidden = !text;
  $("banner").textContent = text;
  $("banner").dataset.kind = kind;
}

function show() {
  const p = run.progress;
  document.title = `${run.run} · ${run.state}`;
  $("run").textContent = run.run;
  $("subtitle").textContent = [run.store && `pairs from ${run.store}`, run.started && `started ${run.started.replace("T", " ").replace(/\..*Z|Z/, " UTC")}`,
    p?.resumed_from_step > 0 && `resumed at step ${whole(p.resumed_from_step)}`].filter(Boolean).join("  ·  ");
  $("state").textContent = run.state;
  $("state").dataset.state = run.state;
  const kind = {failed: "bad", stalled: "warn", stopping: "warn", stopped: "warn", ended: "idle"}[run.state];
  showBanner(kind ? run.message : "", kind);
  $("message").textContent = kind ? "" : run.message;
  const planned = p?.total_steps ?? run.record.planned_steps, steps = p?.step ?? run.record.reached_steps;
  const done = planned ? Math.min(1, steps / planned) : run.state === "ended" ? 1 : 0;
  $("bar").style.width = `${100 * done}%`;
  // Never 100 % before the last step.
  const text = steps > 0 && planned ? `${Math.floor(100 * done)} %, ` : "";
  $("eta").textContent = run.state === "running" && p?.eta_seconds != null ? `${text}about ${duration(p.eta_seconds)} left`
    : p ? `${text}ran ${duration(p.up_seconds)}` : steps > 0 ? `${text}${duration(run.record.seconds)} in steps` : "";
  showTiles(p);
  showParts(run.workers);
  showRanks(run.workers);
  $("footer").textContent = `updated ${new Date(run.now * 1000).toLocaleTimeString()}${run.config_hash ? `  ·  config ${run.config_hash}` : ""}  ·  `;
}

function absorb(update) {
  if (update.generation !== curves.generation || update.since < 0) curves.rows = [];
  curves.rows.push(...update.rows);
  for (const key of ["generation", "columns", "validation", "resumed_at"]) curves[key] = update[key];
}

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(5000)});
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function refresh() {
  try {
    const since = curves.rows.at(-1)?.[0] ?? -1;
    const [state, update] = await Promise.all([ask("data/run.json"), ask(`data/metrics.json?since=${since}&generation=${curves.generation}`)]);
    run = state;
    answered = Date.now();
    absorb(update);
    show();
    drawCurves();
  } catch (error) {
    $("state").textContent = "no connection";
    $("state").dataset.state = "lost";
    const ended = run && OVER.includes(run.state);
    showBanner(`The monitor does not answer${answered ? ` since ${duration((Date.now() - answered) / 1000)}` : ""}; ` +
      (ended ? "the run is over. `homolog report` shows it." : "what is shown may be out of date."), ended ? "idle" : "warn");
  }
  setTimeout(refresh, EVERY);
}

addEventListener("resize", () => run && drawCurves());
refresh();
