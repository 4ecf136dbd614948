// Builds one visitor for std::visit out of lambdas, one for each alternative.
#pragma once

namespace sluice {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace sluice
