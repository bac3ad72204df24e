// refused: call to deleted constructor of .*guarded
#include <heddle/sync/guarded.hpp>

heddle::guarded<int> first{1};
heddle::guarded<int> second = first;  // misuse
