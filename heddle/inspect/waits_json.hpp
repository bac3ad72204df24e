#pragma once

#include <heddle/watch/waits.hpp>

#include <span>
#include <string>

namespace heddle::inspect {

/// A report as JSON, UTF-8, one object:
///
///     {"agents": 3, "torn": 0,
///      "deadlocks": [{"sentence": "Deadlock of 2: …", "agents": [4, 7], "has_deadline": false}],
///      "waits": [{"agent": 4, "kind": "task", "name": "order 17", "thread": 0,
///                 "resource": {"kind": "mutex", "name": "ledger", "address": "0x7ffd…"},
///                 "holder": 7, "age_ms": 12.4, "deadline_in_ms": null, "site": "storefront/orders.cpp:40"}],
///      "edges": [{"from": 4, "to": 7, "resource": "ledger"}],
///      "problems": [{"kind": "lock order", "confidence": "possible", "sentence": "Locks are …", "advice": "take …",
///                    "text": "…", "age_ms": 8123.0}]}
///
/// `thread` is the kernel's id of the blocked thread, 0 for a suspended task. `holder` is null where nobody holds the
/// resource or it has no holder. An edge goes from a waiter to the holder. `problems` are the given reports, the newest
/// first: what watch::recent_reports() keeps.
/// - The format is as given here. [test: waits_json.has_the_format_of_its_contract]
[[nodiscard]] std::string waits_json(const watch::wait_report& report, std::span<const watch::report> problems = {});

}  // namespace heddle::inspect
