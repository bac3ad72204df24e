#include <storefront/service/page.hpp>

namespace storefront {

std::string_view page() noexcept {
  return R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>storefront</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1d2b34; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; }
  th { border-bottom: 1px solid #b9c6cc; font-weight: 600; } td.n { font-variant-numeric: tabular-nums; }
  #figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .8rem; }
  #figures div { border: 1px solid #d5dee2; border-radius: .4rem; padding: .5rem .8rem; }
  #figures b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
  #state, #deadlocks, #problems { color: #a3341f; }
</style>
</head>
<body>
<h1>storefront</h1>
<p>Products, orders, payments and receipts on one event loop. <span id="state"></span></p>
<div id="figures"></div>
<h2>Requests</h2>
<table><thead><tr><th>route</th><th>status</th><th>answered</th><th>per second</th></tr></thead><tbody id="routes"></tbody></table>
<h2>Who waits for what</h2>
<p id="deadlocks"></p>
<p id="problems"></p>
<table><thead><tr><th>agent</th><th>waits for</th><th>held by</th><th>since (ms)</th><th>where</th></tr></thead>
<tbody id="waits"></tbody></table>
<p><a href="/products">products</a> · <a href="/metrics">metrics</a> · <a href="/debug/waits">waits</a></p>
<script>
const shown = [
  ['storefront_orders_paid_total', 'orders paid'], ['storefront_version_conflicts_total', 'version conflicts'],
  ['storefront_lock_waits_contended_total', 'contended locks'], ['storefront_idempotent_replays_total', 'replays'],
  ['storefront_store_writes_total', 'durable writes'], ['storefront_store_commits_total', 'commits'],
  ['storefront_connections', 'connections'], ['storefront_requests_shed_total', 'shed']];
let before = {}, then = 0;
function row(cells) {
  const tr = document.createElement('tr');
  for (const cell of cells) { const td = tr.insertCell(); td.textContent = cell; td.className = 'n'; }
  return tr;
}
async function refresh() {
  try {
    const text = await (await fetch('/metrics')).text();
    const waits = await (await fetch('/debug/waits')).json();
    const now = {}, at = performance.now();
    for (const line of text.split('\n')) {
      const parts = line.match(/^([^#].*) (\S+)$/);
      if (parts) now[parts[1]] = Number(parts[2]);
    }
    document.getElementById('figures').replaceChildren(...shown.map(([name, title]) => {
      const box = document.createElement('div'), value = document.createElement('b');
      value.textContent = now[name] ?? '–';
      box.append(value, title);
      return box;
    }));
    const rows = [];
    for (const name of Object.keys(now).sort()) {
      const parts = name.match(/^storefront_requests_total{route="(.*)",status="(.*)"}$/);
      if (!parts) continue;
      const rate = name in before && at > then ? (now[name] - before[name]) * 1000 / (at - then) : 0;
      rows.push(row([parts[1], parts[2], now[name], rate.toFixed(0)]));
    }
    document.getElementById('routes').replaceChildren(...rows);
    document.getElementById('waits').replaceChildren(...waits.waits.slice(0, 50).map(w => row([
      `${w.kind} ${w.agent} ${w.name}`, `${w.resource.kind} ${w.resource.name}`, w.holder ?? '', w.age_ms.toFixed(1), w.site])));
    document.getElementById('deadlocks').textContent = waits.deadlocks.map(d => d.sentence).join(' ');
    document.getElementById('problems').textContent = waits.problems.map(p => p.sentence).join(' ');
    document.getElementById('state').textContent = '';
    before = now; then = at;
  } catch (error) {
    document.getElementById('state').textContent = 'The service does not answer.';
  }
  setTimeout(refresh, 1000);
}
refresh();
</script>
</body>
</html>
)html";
}

}  // namespace storefront
