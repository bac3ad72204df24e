// A shared object that symbols.test.cpp loads: tells the place of a call in it.

namespace {

int calls = 0;  // counted behind the call, so that it is not the last thing its caller does

[[gnu::noinline]] const void* where_it_returns() { return __builtin_return_address(0); }

}  // namespace

extern "C" const void* place_in_loaded_object() {
  const void* const place = where_it_returns();
  ++calls;
  return place;
}
