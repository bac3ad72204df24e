// refused: call to deleted constructor of .*mutex
#include <heddle/sync/mutex.hpp>

heddle::mutex first;
heddle::mutex second = first;  // misuse
