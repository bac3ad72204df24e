#include <storefront/load/report.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace storefront::load {

namespace {

double in_ms(std::chrono::nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

// All endpoints' times of one phase.
histogram all_times(const tally& counted, histogram endpoint_tally::* phase) {
  histogram sum;
  for (const endpoint_tally& one : counted.by_endpoint) sum.add(one.*phase);
  return sum;
}

// The phase that the headline figures are about: the time in which the bank behaved, if there was such a time.
histogram headline(const results& all) {
  histogram clean = all_times(all.counted, &endpoint_tally::clean);
  return clean.count() != 0 ? clean : all_times(all.counted, &endpoint_tally::faulty);
}

std::string times_text(const histogram& times) {
  if (times.count() == 0) return fmt::format("{:>8} {:>8}", "-", "-");
  return fmt::format("{:>8.1f} {:>8.1f}", in_ms(times.percentile(0.5)), in_ms(times.percentile(0.99)));
}

template <class Out>
void add_table(Out out, const results& all) {
  fmt::format_to(out, "{:<27} {:>9} {:>9} {:>8} {:>6} {:>17} {:>17}\n", "", "", "", "injected", "", "bank behaves",
                 "bank misbehaves");
  fmt::format_to(out, "{:<27} {:>9} {:>9} {:>8} {:>6} {:>8} {:>8} {:>8} {:>8}\n", "endpoint", "requests", "ok",
                 "faults", "errors", "p50 ms", "p99 ms", "p50 ms", "p99 ms");
  for (std::size_t i = 0; i < endpoints; ++i) {
    const endpoint_tally& one = all.counted.by_endpoint[i];
    fmt::format_to(out, "{:<27} {:>9} {:>9} {:>8} {:>6} {} {}\n", to_string(static_cast<endpoint>(i)), one.requests,
                   one.ok, one.injected, one.requests - one.ok - one.injected, times_text(one.clean),
                   times_text(one.faulty));
  }
  fmt::format_to(out, "{:<27} {:>9} {:>9} {:>8} {:>6} {} {}\n\n", "all", all.counted.requests(), all.counted.ok(),
                 all.counted.injected(), all.counted.errors(),
                 times_text(all_times(all.counted, &endpoint_tally::clean)),
                 times_text(all_times(all.counted, &endpoint_tally::faulty)));
}

template <class Out>
void add_kinds(Out out, const char* title, const tally& counted,
               std::map<std::string, std::uint64_t> endpoint_tally::* kinds) {
  bool titled = false;
  for (std::size_t i = 0; i < endpoints; ++i) {
    for (const auto& [kind, times] : counted.by_endpoint[i].*kinds) {
      if (!titled) fmt::format_to(out, "{}\n", title);
      titled = true;
      fmt::format_to(out, "  {:>8}  {}: {}\n", times, to_string(static_cast<endpoint>(i)), kind);
    }
  }
}

std::string answered_text(const results& all) {
  if (all.counted.unanswered != 0) return fmt::format("BROKEN {} requests got no answer", all.counted.unanswered);
  return fmt::format("held   of {} requests, none was left without an answer", all.counted.requests());
}

std::string replays_text(const results& all) {
  if (all.counted.bad_replays != 0) return fmt::format("BROKEN {} replays had other bytes", all.counted.bad_replays);
  return fmt::format("held   {} replays were compared", all.counted.replays);
}

template <class Out>
void add_verdict(Out out, const results& all) {
  fmt::format_to(out, "\ninvariants, read from the stores themselves\n");
  if (all.stores) {
    for (const invariant& one : all.stores->invariants) {
      fmt::format_to(out, "  {} {}: {}\n", one.broken == 0 ? "held  " : "BROKEN", one.name, one.says);
      if (one.broken != 0) fmt::format_to(out, "         {} times; the first: {}\n", one.broken, one.first_broken);
    }
  }
  fmt::format_to(out, "  {} (every request was answered)\n", answered_text(all));
  fmt::format_to(out, "  {} (a replay is the same bytes)\n", replays_text(all));
  fmt::format_to(
      out, "\nwhat the load has met: {} paid orders, {} replays, {} version conflicts, {} contended lock waits\n",
      all.stores ? all.stores->paid_orders : all.counted.paid, all.replays(), all.conflicts(), all.contended());
}

}  // namespace

std::uint64_t results::grown(std::string_view name) const {
  return static_cast<std::uint64_t>(std::max(0.0, after.value(name) - before.value(name)));
}

bool results::held() const noexcept {
  return counted.unanswered == 0 && counted.bad_replays == 0 && (!stores || stores->held());
}

std::vector<std::string> results::what_is_missing() const {
  std::vector<std::string> missing;
  auto need = [&](std::uint64_t found, std::uint64_t least, const char* what) {
    if (found < least) missing.push_back(fmt::format("{} {}, at least {} are needed", found, what, least));
  };
  const std::uint64_t without_fault = counted.requests() - counted.injected();
  const double share = without_fault == 0 ? 0 : static_cast<double>(counted.ok()) / static_cast<double>(without_fault);
  if (share < 0.995) {
    missing.push_back(
        fmt::format("{:.2f} % of the requests without an injected fault succeeded, 99.5 % are needed", 100 * share));
  }
  need(stores ? stores->paid_orders : counted.paid, settings.least_paid, "paid orders");
  need(replays(), settings.least_replays, "replays");
  need(conflicts(), settings.least_conflicts, "version conflicts");
  need(contended(), settings.least_contended, "contended lock waits");
  return missing;
}

std::string text(const results& all) {
  std::string made;
  auto out = std::back_inserter(made);
  add_table(out, all);
  fmt::format_to(out, "{:.0f} requests/s, of them {:.0f} durable writes/s, over {:.1f} s\n\n",
                 static_cast<double>(all.counted.requests()) / all.took.count(),
                 static_cast<double>(all.counted.changes) / all.took.count(), all.took.count());
  add_kinds(out, "errors", all.counted, &endpoint_tally::errors);
  add_kinds(out, "other answers", all.counted, &endpoint_tally::kinds);
  add_verdict(out, all);
  for (const std::string& one : all.what_is_missing()) fmt::format_to(out, "the load proved nothing: {}\n", one);
  const std::string url = "http://" + all.settings.target.text();
  fmt::format_to(out,
                 "where to look next: {}/ shows it live, {}/debug/waits who waits for what, {}/metrics all figures",
                 url, url, url);
  if (!all.settings.store.empty()) fmt::format_to(out, "; the store is in {}", all.settings.store.string());
  fmt::format_to(out, "\n");
  return made;
}

std::string json_line(const results& all) {
  const histogram times = headline(all);
  const histogram faulty = all_times(all.counted, &endpoint_tally::faulty);
  const verdict none;
  const verdict& stores = all.stores ? *all.stores : none;
  const double seconds = all.took.count();
  return fmt::format(
      R"({{"requests":{},"requests_per_s":{:.1f},"p50_ms":{:.2f},"p99_ms":{:.2f},"errors":{},"paid_orders":{},)"
      R"("double_charges":{},"lost_charges":{},"oversold":{},"journal_gaps":{},"invariants":"{}",)"
      R"("forgotten":{},"ok":{},"injected":{},"unanswered":{},"replays":{},"conflicts":{},"contended":{},"p99_faults_ms":{:.2f},)"
      R"("writes_per_s":{:.1f},"seconds":{:.1f}}})",
      all.counted.requests(), static_cast<double>(all.counted.requests()) / seconds, in_ms(times.percentile(0.5)),
      in_ms(times.percentile(0.99)), all.counted.errors(), all.stores ? stores.paid_orders : all.counted.paid,
      stores.broken(charged_once), stores.broken(no_stray_charge), stores.broken(stock_is_conserved),
      stores.broken(journal_is_whole), all.held() ? "held" : "broken", stores.broken(nothing_is_forgotten),
      all.counted.ok(), all.counted.injected(), all.counted.unanswered, all.replays(), all.conflicts(), all.contended(),
      in_ms(faulty.percentile(0.99)), static_cast<double>(all.counted.changes) / seconds, seconds);
}

}  // namespace storefront::load
