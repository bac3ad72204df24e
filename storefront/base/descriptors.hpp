#pragma once

namespace storefront {

/// Allows this process as many open descriptors as the system lets it have: each connection takes one. What cannot be
/// raised stays as it is.
void allow_many_descriptors() noexcept;

}  // namespace storefront
