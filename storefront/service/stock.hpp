#pragma once

#include <storefront/service/catalog.hpp>
#include <storefront/service/config.hpp>

#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/versioned.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/task/sleep.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

namespace storefront {

/// How a change of stock ended that was not refused by the store.
enum class stock_change : std::uint8_t {
  done,
  not_enough,  ///< nothing was changed: there are not so many pieces
  contended,   ///< nothing was changed: others were quicker, again and again
};

/// The stock of each product, as versioned records: changed only by who has seen the newest version.
///
/// As a rule nobody waits for anybody: who was too slow tries again. Those who try again for the same product stand in a
/// line, and while there is one, newcomers join it: else a product that everybody wants would see almost nothing but
/// attempts in vain. The line saves work; what keeps the stock right is the version, also in the line.
///
/// Thread-safety: on the loop's thread.
class stock {
 public:
  /// @param store,records,products must outlive this.
  stock(heddle::dist::sqlite_store& store, heddle::dist::versioned& records, catalog& products,
        storefront::unsafe unsafe)
      : store_{store}, records_{records}, products_{products}, unsafe_{unsafe} {
    for (std::size_t i = 0; i < products.size(); ++i) lines_.emplace_back("line for a product");
  }

  /// Reads the stock, and writes it changed by `difference` together with what `also` writes, in one job, if nobody has
  /// written the stock meanwhile; else pauses with full jitter and begins anew.
  /// @param also `store_result<void>(sql_transaction&)`; its error undoes the job and is the result. Called once for each
  ///        attempt.
  template <std::invocable<heddle::dist::sql_transaction&> Also>
  [[nodiscard]] heddle::task<heddle::dist::store_result<stock_change>> change(std::int64_t product_id,
                                                                              std::int64_t difference, Also also) {
    bool again = false;
    auto attempt = [&] { return change_in_turn(product_id, difference, also, std::exchange(again, true)); };
    heddle::dist::versioned_result<stock_change> ended = co_await records_.retry(attempt);
    if (ended) co_return *ended;
    if (auto* failure = std::get_if<heddle::dist::store_error>(&ended.error())) {
      co_return std::unexpected{std::move(*failure)};
    }
    co_return stock_change::contended;
  }

 private:
  static constexpr std::chrono::seconds longest_turn{2};
  // Without versions: so long between reading and writing that others come in between on any machine.
  static constexpr std::chrono::milliseconds hesitation{250};

  template <class Also>
  heddle::task<heddle::dist::versioned_result<stock_change>> change_in_turn(std::int64_t product_id,
                                                                            std::int64_t difference, Also& also,
                                                                            bool again) {
    heddle::mutex& line = lines_[static_cast<std::size_t>(product_id - 1)];
    std::unique_lock<heddle::mutex> turn;
    if (again || line.holder() != 0) {
      auto got = co_await line.async_lock_until(heddle::deadline::after(longest_turn));
      if (!got) co_return stock_change::contended;
      turn = *std::move(got);
    }
    co_return co_await change_once(product_id, difference, also);
  }

  template <class Also>
  heddle::task<heddle::dist::versioned_result<stock_change>> change_once(std::int64_t product_id,
                                                                         std::int64_t difference, Also& also) {
    using result = heddle::dist::versioned_result<std::int64_t>;
    auto read = co_await records_.read(std::to_string(product_id));
    if (!read) co_return std::unexpected{heddle::dist::versioned_error{std::move(read).error()}};
    const std::int64_t pieces = pieces_of(*read) + difference;
    if (pieces < 0) co_return stock_change::not_enough;
    if (unsafe_ == unsafe::no_version) co_await heddle::sleep_for(hesitation);
    auto written = co_await store_.write([&](heddle::dist::sql_transaction& transaction) -> result {
      auto version = put_in(transaction, product_id, pieces, read->version);
      if (!version) return version;
      if (auto fine = also(transaction); !fine) return std::unexpected{std::move(fine).error()};
      return version;
    });
    if (!written) co_return std::unexpected{heddle::dist::versioned_error{std::move(written).error()}};
    if (!*written) co_return std::unexpected{std::move(*written).error()};
    products_.committed(product_id, pieces, **written);
    co_return stock_change::done;
  }

  [[nodiscard]] static std::int64_t pieces_of(const heddle::dist::versioned_record& record) noexcept;
  [[nodiscard]] heddle::dist::versioned_result<std::int64_t> put_in(heddle::dist::sql_transaction& transaction,
                                                                    std::int64_t product_id, std::int64_t pieces,
                                                                    std::int64_t version);

  heddle::dist::sqlite_store& store_;
  heddle::dist::versioned& records_;
  catalog& products_;
  storefront::unsafe unsafe_;
  std::deque<heddle::mutex> lines_;  // by product
};

}  // namespace storefront
