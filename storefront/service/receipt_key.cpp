#include <storefront/service/receipt_key.hpp>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

namespace storefront {

namespace {

template <auto Free>
struct freed_by {
  void operator()(auto* object) const noexcept { Free(object); }
};
using owned_pkey = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using owned_bio = std::unique_ptr<BIO, freed_by<BIO_free_all>>;
using owned_digest = std::unique_ptr<EVP_MD_CTX, freed_by<EVP_MD_CTX_free>>;

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

// The private half in PEM, written so that a crash leaves the old file or the new one, and readable by the owner alone.
bool write_private(EVP_PKEY* pkey, const std::filesystem::path& file) {
  const owned_bio memory{BIO_new(BIO_s_mem())};
  if (PEM_write_bio_PrivateKey(memory.get(), pkey, nullptr, nullptr, 0, nullptr, nullptr) != 1) return false;
  std::filesystem::path draft = file;
  draft += ".new";
  std::ofstream out{draft, std::ios::binary | std::ios::trunc};
  std::error_code failed;
  std::filesystem::permissions(draft, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, failed);
  out << text_of(memory.get());
  out.close();
  if (failed || !out) return false;
  std::filesystem::rename(draft, file, failed);
  return !failed;
}

owned_pkey read_private(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  const std::string pem{std::istreambuf_iterator<char>{in}, {}};
  const owned_bio memory{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  return owned_pkey{PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr)};
}

}  // namespace

struct receipt_key::key {
  owned_pkey pkey;
};

receipt_key::receipt_key(std::unique_ptr<key> made, std::string public_pem) noexcept
    : key_{std::move(made)}, public_pem_{std::move(public_pem)} {}
receipt_key::receipt_key(receipt_key&&) noexcept = default;
receipt_key& receipt_key::operator=(receipt_key&&) noexcept = default;
receipt_key::~receipt_key() = default;

std::expected<receipt_key, std::string> receipt_key::load_or_make(const std::filesystem::path& file) {
  owned_pkey pkey;
  if (std::filesystem::exists(file)) {
    pkey = read_private(file);
    if (!pkey) return std::unexpected{fmt::format("{} is no private key", file.string())};
  } else {
    pkey.reset(EVP_RSA_gen(2048));
    if (!pkey) return std::unexpected{"OpenSSL cannot make an RSA key"};
    if (!write_private(pkey.get(), file)) return std::unexpected{fmt::format("cannot write {}", file.string())};
  }
  const owned_bio memory{BIO_new(BIO_s_mem())};
  if (PEM_write_bio_PUBKEY(memory.get(), pkey.get()) != 1) return std::unexpected{"OpenSSL cannot write a public key"};
  return receipt_key{std::make_unique<key>(std::move(pkey)), text_of(memory.get())};
}

std::string receipt_key::sign(std::string_view text) const {
  const owned_digest digest{EVP_MD_CTX_new()};
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  if (EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key_->pkey.get()) != 1 ||
      EVP_DigestSign(digest.get(), nullptr, &size, bytes, text.size()) != 1) {
    throw std::runtime_error("OpenSSL cannot sign");
  }
  std::vector<unsigned char> raw(size);
  if (EVP_DigestSign(digest.get(), raw.data(), &size, bytes, text.size()) != 1) {
    throw std::runtime_error("OpenSSL cannot sign");
  }
  std::string encoded(4 * ((size + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends it with a zero byte
  const int written =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), raw.data(), static_cast<int>(size));
  encoded.resize(static_cast<std::size_t>(written));
  return encoded;
}

}  // namespace storefront
