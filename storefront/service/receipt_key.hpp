#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace storefront {

/// The RSA-2048 key with which receipts are signed. It is made once and kept beside the store, so that a receipt can be
/// checked for as long as the store exists.
///
/// Thread-safety: sign() from any thread.
class receipt_key {
 public:
  /// Reads the key, or makes it if the file is missing; takes some tenths of a second then.
  /// @return the key, or one sentence that says why there is none
  [[nodiscard]] static std::expected<receipt_key, std::string> load_or_make(const std::filesystem::path& file);

  receipt_key(receipt_key&&) noexcept;
  receipt_key& operator=(receipt_key&&) noexcept;
  ~receipt_key();

  /// The signature of `text`, RSASSA-PKCS1-v1_5 with SHA-256, in base64. About a millisecond of work: not for the loop.
  /// @throws std::runtime_error when OpenSSL fails
  [[nodiscard]] std::string sign(std::string_view text) const;

  /// The public half in PEM.
  [[nodiscard]] const std::string& public_pem() const noexcept { return public_pem_; }

 private:
  struct key;  // OpenSSL's
  receipt_key(std::unique_ptr<key> made, std::string public_pem) noexcept;
  std::unique_ptr<key> key_;
  std::string public_pem_;
};

}  // namespace storefront
