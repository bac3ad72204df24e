#include <storefront/service/catalog.hpp>

#include <storefront/base/json_body.hpp>

#include <fmt/format.h>

namespace storefront {

const product* catalog::find(std::int64_t id) const noexcept {
  const bool known = id >= 1 && static_cast<std::uint64_t>(id) <= products_.size();
  return known ? &products_[static_cast<std::size_t>(id - 1)] : nullptr;
}

void catalog::committed(std::int64_t id, std::int64_t stock, std::int64_t version) {
  const auto at = static_cast<std::size_t>(id - 1);
  if (products_[at].version >= version) return;
  products_[at].stock = stock;
  products_[at].version = version;
  if (!pieces_.empty()) pieces_[at].clear();
  json_.clear();
}

const std::string& catalog::json() {
  if (!json_.empty()) return json_;
  pieces_.resize(products_.size());
  json_ = R"({"products":[)";
  for (std::size_t i = 0; i < products_.size(); ++i) {
    const product& p = products_[i];
    if (pieces_[i].empty()) {
      pieces_[i] = fmt::format(R"({{"id":{},"name":{},"price_cents":{},"stock":{},"version":{}}})", p.id,
                               json_text(p.name), p.price.cents, p.stock, p.version);
    }
    if (i != 0) json_ += ',';
    json_ += pieces_[i];
  }
  json_ += "]}";
  return json_;
}

}  // namespace storefront
