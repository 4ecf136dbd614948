#include "dns/dns_stream.h"

#include <gtest/gtest.h>

#include "dns/dns_relay.h"
#include "unit/dns/dns_messages.h"

namespace sluice::dns {
namespace {

using test::Bytes;
using test::make_query;

Bytes framed(const Bytes& message) {
  Bytes all{static_cast<std::uint8_t>(message.size() >> 8),
            static_cast<std::uint8_t>(message.size())};
  all.insert(all.end(), message.begin(), message.end());
  return all;
}

TEST(DnsStream, QuestionsComeOutHoweverTheyAreCut) {
  const Bytes query = make_query("example.com");
  Bytes wire;
  for (int i = 0; i < 3; ++i) {
    const Bytes one = framed(query);
    wire.insert(wire.end(), one.begin(), one.end());
  }
  for (std::size_t step = 1; step <= wire.size(); ++step) {
    DnsStream stream;
    int questions = 0;
    for (std::size_t at = 0; at < wire.size(); at += step) {
      const ByteView part = ByteView(wire).subspan(at, std::min(step, wire.size() - at));
      ASSERT_EQ(stream.receive(part), part.size());
      while (const auto question = stream.next_question()) {
        EXPECT_TRUE(std::ranges::equal(*question, query));
        ++questions;
      }
      EXPECT_FALSE(stream.is_garbage());
    }
    EXPECT_EQ(questions, 3) << step;
  }
}

TEST(DnsStream, WhatIsNoDnsIsSeenByItsLength) {
  for (const Bytes& bytes : {Bytes{'G', 'E', 'T', ' '}, Bytes{'S', 'S', 'H', '-'},
                             Bytes{0x16, 0x03, 0x01}, Bytes{0, 0}, Bytes{0, 11}, Bytes{0x10, 1}}) {
    DnsStream stream;
    EXPECT_EQ(stream.receive(bytes), bytes.size());
    EXPECT_FALSE(stream.next_question().has_value());
    EXPECT_TRUE(stream.is_garbage());
  }
  DnsStream largest;
  EXPECT_EQ(largest.receive(Bytes{0x10, 0}), 2u);
  EXPECT_FALSE(largest.is_garbage());
}

TEST(DnsStream, QuestionsAndInputAreBounded) {
  DnsStream stream;
  const Bytes one = framed(make_query("example.com"));
  std::size_t asked = 0;
  std::size_t sent = 0;
  for (; stream.receive(one) == one.size(); ++sent) {
    while (stream.next_question()) ++asked;
  }
  EXPECT_EQ(asked, DnsStream::kQuestionsMax);
  EXPECT_EQ(stream.input_room(), 0u);
  EXPECT_LE(sent, DnsStream::kQuestionsMax + DnsStream::kInputMax / one.size());
  EXPECT_FALSE(stream.is_garbage());
  // Each answer makes room for another question.
  stream.answer(make_query("answer.example"));
  EXPECT_TRUE(stream.next_question().has_value());
  EXPECT_FALSE(stream.next_question().has_value());
}

TEST(DnsStream, GuestThatDoesNotReadIsNotAskedFurther) {
  DnsStream stream;
  const Bytes one = framed(make_query("example.com"));
  const Bytes large(40'000, 7);
  for (int i = 0; i < 3; ++i) (void)stream.receive(one);
  EXPECT_TRUE(stream.next_question().has_value());
  EXPECT_TRUE(stream.next_question().has_value());
  stream.answer(large);
  stream.answer(large);
  EXPECT_FALSE(stream.next_question().has_value());
  stream.discard(40'002);
  EXPECT_EQ(stream.output().size(), 40'002u);
  EXPECT_EQ(be16<0>(stream.output().first<2>()), 40'000u);
  EXPECT_TRUE(stream.next_question().has_value());
}

TEST(DnsStream, IsDoneWhenAllIsAnsweredAndNoMoreComes) {
  DnsStream stream;
  const Bytes one = framed(make_query("example.com"));
  (void)stream.receive(one);
  (void)stream.receive(ByteView(one).first(5));
  EXPECT_FALSE(stream.is_done());
  stream.finish_input();
  EXPECT_FALSE(stream.is_done());
  EXPECT_TRUE(stream.next_question().has_value());
  EXPECT_FALSE(stream.is_done());
  stream.answer(one);
  EXPECT_TRUE(stream.is_done());  // Half a question is none.
}

}  // namespace
}  // namespace sluice::dns
