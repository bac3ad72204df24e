#include <storefront/service/stock.hpp>

#include <charconv>

namespace storefront {

namespace dist = heddle::dist;

std::int64_t stock::pieces_of(const dist::versioned_record& record) noexcept {
  std::int64_t pieces = 0;
  std::from_chars(record.value.data(), record.value.data() + record.value.size(), pieces);
  return pieces;
}

dist::versioned_result<std::int64_t> stock::put_in(dist::sql_transaction& transaction, std::int64_t product_id,
                                                   std::int64_t pieces, std::int64_t version) {
  if (unsafe_ == unsafe::no_version) version = dist::any_version;
  return records_.put_in(transaction, std::to_string(product_id), std::to_string(pieces), version);
}

}  // namespace storefront
