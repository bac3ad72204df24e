#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::http {

/// Compares two ASCII strings without regard to case, as field names, methods of connection handling and codings
/// are compared in HTTP. Bytes above 0x7f compare as they are.
[[nodiscard]] bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept;

/// The header fields of one message: ordered, with names that compare without regard to case, repeated names allowed.
///
/// All text lives in one buffer, so a message with any number of fields costs two allocations. The views handed out
/// stay valid until the next non-const call. A field that is erased or replaced keeps its bytes in the buffer until
/// `clear`: this is a container for messages, not a long-lived store.
///
/// Nothing is validated here: the parser only adds what the grammar allows, and `serialize` refuses names and values
/// that would break out of their line.
///
/// - Order and repetitions are kept. [test: headers.keep_their_order_and_repetitions]
/// - Names compare without case. [test: headers.names_compare_without_case]
/// - A field may be made of another one's text. [test: headers.a_field_may_be_made_of_another_ones_text]
///
/// Thread-safety: as a standard container.   Cost: lookups compare every name, which suits the tens of fields of a
/// message.
class headers {
 public:
  /// One field; the views point into the container.
  struct field {
    std::string_view name;
    std::string_view value;
  };

  /// A forward iterator that yields `field` by value.
  class const_iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = field;
    using difference_type = std::ptrdiff_t;
    using reference = field;
    using pointer = void;

    const_iterator() = default;
    const_iterator(const headers* owner, std::size_t index) noexcept : owner_(owner), index_(index) {}

    field operator*() const noexcept { return (*owner_)[index_]; }
    const_iterator& operator++() noexcept {
      ++index_;
      return *this;
    }
    const_iterator operator++(int) noexcept {
      const_iterator before = *this;
      ++index_;
      return before;
    }
    bool operator==(const const_iterator&) const = default;

   private:
    const headers* owner_ = nullptr;
    std::size_t index_ = 0;
  };

  /// Appends a field, also when one of that name exists.
  void add(std::string_view name, std::string_view value);

  /// Leaves exactly one field of that name: the first one's place is kept, its further repetitions go.
  void set(std::string_view name, std::string_view value);

  /// Removes every field of that name. Returns how many there were.
  std::size_t erase(std::string_view name);

  /// Removes all fields and gives their memory back.
  void clear() noexcept;

  /// The value of the first field of that name, or nothing.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;

  /// The value of the first field of that name, or `otherwise`.
  [[nodiscard]] std::string_view get(std::string_view name, std::string_view otherwise = {}) const noexcept;

  /// How many fields have that name.
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;

  /// True if a field of that name exists.
  [[nodiscard]] bool contains(std::string_view name) const noexcept { return find(name).has_value(); }

  /// True if the comma-separated lists in all fields of that name have the member `token`, ignoring case. This is how
  /// `Connection: close, TE` is asked for `close`.
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  /// The field at `index`, in order of arrival. `index` must be below `size()`.
  [[nodiscard]] field operator[](std::size_t index) const noexcept;

  [[nodiscard]] const_iterator begin() const noexcept { return {this, 0}; }
  [[nodiscard]] const_iterator end() const noexcept { return {this, entries_.size()}; }

  /// Equal if the same names (ignoring case) and values stand in the same order.
  [[nodiscard]] friend bool operator==(const headers& left, const headers& right) noexcept {
    return left.equals(right);
  }

 private:
  // A field's place in text_: the name's bytes, directly followed by the value's.
  struct entry {
    std::uint32_t at;
    std::uint32_t name_size;
    std::uint32_t value_size;
  };

  [[nodiscard]] entry store(std::string_view name, std::string_view value);
  [[nodiscard]] bool equals(const headers& other) const noexcept;

  std::string text_;
  std::vector<entry> entries_;
};

}  // namespace heddle::http
