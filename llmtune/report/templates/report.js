"use strict";
// Moves the threshold: every number below was counted when the page was made.
(() => {
  const data = JSON.parse(document.getElementById("thresholds").textContent);
  const by = (id) => document.getElementById(id);
  const range = by("threshold"), point = document.querySelector("#curve .chosen");
  const [left, width, floor, height] = document.querySelector("#curve svg").dataset.scale.split(",").map(Number);
  const chosen = range.value;
  const shown = (x) => x.toFixed(3);
  const show = () => {
    const at = Number(range.value), hits = data.hits[at], alarms = data.alarms[at];
    const missed = data.positives - hits, rest = data.negatives - alarms;
    const precision = hits / Math.max(1, hits + alarms), recall = hits / Math.max(1, data.positives);
    const f1 = 2 * hits / Math.max(1, hits + alarms + data.positives);
    const cost = missed * Number(by("cost_missed").value) + alarms * Number(by("cost_alarm").value);
    const values = { hits, missed, alarms, rest };
    for (const name in values) by(name).textContent = values[name].toLocaleString("en");
    by("precision").textContent = shown(precision);
    by("recall").textContent = shown(recall);
    by("f1").textContent = shown(f1);
    by("cost").textContent = cost.toLocaleString("en", { maximumFractionDigits: 2 });
    const text = String(Number(data.thresholds[at].toPrecision(6)));
    by("threshold_value").textContent = text;
    range.setAttribute("aria-valuetext", `${text}: precision ${shown(precision)}, recall ${shown(recall)}`);
    point.setAttribute("cx", left + recall * width);
    point.setAttribute("cy", floor - precision * height);
  };
  const cheapest = () => {
    const missed = Number(by("cost_missed").value), alarm = Number(by("cost_alarm").value);
    const cost = data.hits.map((hits, at) => (data.positives - hits) * missed + data.alarms[at] * alarm);
    const least = Math.min(...cost);
    // Of the equally cheap ones the middle: it depends on no single row.
    const best = cost.flatMap((value, at) => (value === least ? [at] : []));
    range.value = best[Math.floor(best.length / 2)];
    show();
  };
  for (const id of ["threshold", "cost_missed", "cost_alarm"]) by(id).addEventListener("input", show);
  by("cheapest").addEventListener("click", cheapest);
  by("reset").addEventListener("click", () => { range.value = chosen; show(); });
  show();
})();
