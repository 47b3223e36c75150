// Live playing with a worker thread: queues, fades of late samples and the pacing of note starts.
#include "engine/live_engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace audiogen::engine {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

static constexpr std::size_t kRenderBlock = 64;  // samples; small, so that samples are ready early
// Durations as divisors of a second.
static constexpr std::uint32_t kMarginDivisor = 200;    // default margin, 5 ms
static constexpr std::uint32_t kFadeOutDivisor = 500;   // fade to silence before late samples, 2 ms
static constexpr std::uint32_t kFadeInDivisor = 200;    // fade in after late samples, 5 ms
static constexpr std::uint32_t kSwapDivisor = 50;       // fade out of a former instrument, 20 ms
static constexpr std::uint32_t kDelayDivisor = 20;      // default longest delay of a note, 50 ms
static constexpr std::uint32_t kLongestLookahead = 10;  // s
static constexpr std::uint32_t kChordDivisor = 1000;    // span of a chord's note-ons, 1 ms
static constexpr double kLoadSmoothing = 0.3;           // s
static constexpr std::size_t kPostedAtOnce = 64;
static constexpr std::size_t kAnyNotes = ~std::size_t{0};
// Time that must be left for a start, as a multiple of its estimated duration. A start that takes
// longer than the margin waits until the block in which it was struck has been rendered without it.
static constexpr double kStartSlack = 1.25;
// Weight of a new start in the running estimate, if it was shorter; a longer one replaces it.
static constexpr double kStartDecay = 0.1;

static std::size_t fraction_of_second(std::uint32_t sample_rate,
                                      std::uint32_t divisor) noexcept AUDIOGEN_REALTIME {
  return std::max<std::size_t>(1, sample_rate / divisor);
}

static std::size_t checked_lookahead(const LiveSettings& settings) {
  const std::size_t block = settings.max_block;
  if (block < 1 || block > 65536) {
    throw std::invalid_argument("max_block=" + std::to_string(block) + " must be 1 to 65536");
  }
  if (!settings.lookahead) return block + fraction_of_second(settings.sample_rate, kMarginDivisor);
  const std::size_t least = settings.synchronous ? 0 : block + 1;
  const std::size_t most = std::size_t{kLongestLookahead} * settings.sample_rate;
  if (*settings.lookahead < least || *settings.lookahead > most) {
    throw std::invalid_argument("lookahead=" + std::to_string(*settings.lookahead) +
                                " samples must be " + std::to_string(least) + " (more than " +
                                "max_block, unless synchronous) to " + std::to_string(most));
  }
  return *settings.lookahead;
}

LiveEngine::Player::Player(std::shared_ptr<const Instrument> instrument,
                           const LiveSettings& settings)
    : engine(std::move(instrument), settings.sample_rate, kRenderBlock, settings.max_voices,
             settings.seed, settings.n_channels, settings.n_inputs,
             settings.synchronous ? 1 : settings.n_threads),
      fade_left(fraction_of_second(settings.sample_rate, kSwapDivisor)) {
  if (settings.synchronous) return;
  // Starts a note to measure how long that takes. This also warms the caches for the first note.
  std::vector<float> sample(1);
  const std::vector<float*> out(settings.n_channels, sample.data());
  const Clock::time_point start = Clock::now();
  engine.process(out, 1, std::array{Event{0, EventKind::kNoteOn, 0, 0, 60.0f, 1.0f}});
  start_s = Seconds(Clock::now() - start).count();
  engine.reset(settings.seed);
}

LiveEngine::LiveEngine(std::shared_ptr<const Instrument> instrument, const LiveSettings& settings)
    : settings_(settings),
      lookahead_(checked_lookahead(settings)),
      longest_delay_(
          settings.longest_delay.value_or(fraction_of_second(settings.sample_rate, kDelayDivisor))),
      seed_(settings.seed) {
  players_.push_back(std::make_unique<Player>(std::move(instrument), settings_));
  player_ = players_.front().get();
  latency_.set(lookahead_ + player_->engine.latency());
  for (std::size_t i = 0; i < kParameterCount; ++i) parameters_[i].set(kParameters[i].initial);

  const std::vector<float> silence(lookahead_);
  held_.resize(settings_.n_channels);
  events_.resize(commands_.capacity());
  chord_.resize(settings.max_voices);
  block_.resize(settings_.n_channels * kRenderBlock);
  tail_.resize(block_.size());
  for (std::size_t c = 0; c < settings_.n_channels; ++c) {
    samples_.emplace_back(lookahead_ + settings_.max_block + kRenderBlock).push(silence);
    block_channels_.push_back(block_.data() + c * kRenderBlock);
    tail_channels_.push_back(tail_.data() + c * kRenderBlock);
  }
  input_.resize(settings_.n_inputs * kRenderBlock);
  for (std::size_t c = 0; c < settings_.n_inputs; ++c) {
    inputs_.emplace_back(lookahead_ + settings_.max_block + kRenderBlock);
    input_channels_.push_back(input_.data() + c * kRenderBlock);
  }
  if (!settings_.synchronous) worker_ = std::thread(&LiveEngine::work, this);
}

LiveEngine::~LiveEngine() {
  stop_.store(true, std::memory_order_relaxed);
  if (worker_.joinable()) worker_.join();
}

// Audio thread.

void LiveEngine::process(std::span<float* const> out, std::size_t n, std::span<const Event> events,
                         std::span<const float* const> in) noexcept AUDIOGEN_REALTIME {
  std::size_t done = 0, next = 0;
  float peak = 0.0f;
  do {
    const std::size_t piece = std::min(n - done, settings_.max_block);
    const bool is_last = done + piece == n;
    take_posted();
    take_input(in, done, piece);
    for (; next < events.size() && (is_last || events[next].offset < done + piece); ++next) {
      const std::size_t offset = std::min<std::size_t>(events[next].offset, n == 0 ? 0 : n - 1);
      send({now_ + std::max(offset, done) - done, events[next], nullptr});
    }
    known_.store(now_ + piece, std::memory_order_release);
    if (renders_here()) render_all(now_ + piece);
    take_samples(out, done, piece);
    for (std::size_t c = 0; c < settings_.n_channels; ++c) {
      for (std::size_t i = done; i < done + piece; ++i) peak = std::max(peak, std::abs(out[c][i]));
    }
    now_ += piece;
    done += piece;
  } while (done < n);
  peak_.set(peak);
}

void LiveEngine::park() noexcept AUDIOGEN_REALTIME {
  offline_request_.fetch_add(1, std::memory_order_release);
}

bool LiveEngine::has_parked() const noexcept AUDIOGEN_REALTIME {
  return parked_.load(std::memory_order_acquire) ==
         offline_request_.load(std::memory_order_relaxed);
}

void LiveEngine::set_offline(bool offline) noexcept {
  if (settings_.synchronous || offline == offline_) return;
  park();
  while (offline && !has_parked()) std::this_thread::yield();
  offline_ = offline;
}

// The clock is read without a system call.
void LiveEngine::hurry(std::size_t n, double longest_s) noexcept AUDIOGEN_REALTIME {
  if (renders_here() || samples_.back().size() >= n) return;
  park();
  AUDIOGEN_OFFLINE(const Clock::time_point start = Clock::now();)
  while (!has_parked()) {
    AUDIOGEN_OFFLINE(const Seconds waited = Clock::now() - start;)
    AUDIOGEN_OFFLINE(const bool goes_on = waited.count() < longest_s;)
    if (goes_on) continue;
    offline_request_.fetch_add(1, std::memory_order_release);  // the worker goes on
    return;
  }
  offline_ = true;
}

// If the ring is full because the worker is late, input is dropped; the worker reads silence
// instead.
void LiveEngine::take_input(std::span<const float* const> in, std::size_t from,
                            std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (std::size_t c = 0; c < inputs_.size(); ++c) {
    if (in.empty()) {
      for (std::size_t i = 0; i < n && inputs_[c].push(0.0f); ++i) continue;
    } else {
      inputs_[c].push({in[std::min(c, in.size() - 1)] + from, n});
    }
  }
}

// Sends the posted events and the latest swap at the start of the block.
void LiveEngine::take_posted() noexcept AUDIOGEN_REALTIME {
  std::array<Event, kPostedAtOnce> some;
  for (std::size_t n = some.size(); n == some.size();) {
    const std::size_t space = commands_.space();
    if (space == 0) return;
    n = posted_.pop({some.data(), std::min(some.size(), space - 1)});
    // Read after the events were popped: events posted after the swap come after it.
    if (incoming_.load(std::memory_order_relaxed) != nullptr) {
      send({now_, {}, incoming_.exchange(nullptr, std::memory_order_acquire)});
    }
    for (std::size_t i = 0; i < n; ++i) send({now_, some[i], nullptr});
  }
  release_all_ = lost_.exchange(false, std::memory_order_acquire) || release_all_;
  if (release_all_) {
    last_event_at_ = std::max(last_event_at_, now_);
    release_lost();
  }
}

void LiveEngine::send(Command command) noexcept AUDIOGEN_REALTIME {
  last_event_at_ = command.at = std::max(command.at, last_event_at_);
  if (renders_here() && commands_.space() < 2) {
    known_.store(command.at, std::memory_order_release);
    render_all(command.at);
  }
  release_lost();
  if (!commands_.push(command)) {
    n_dropped_.count();
    release_all_ = true;
  }
}

// A lost event may have been a note-off.
void LiveEngine::release_lost() noexcept AUDIOGEN_REALTIME {
  if (!release_all_ || commands_.space() < 2) return;
  commands_.push({last_event_at_, {0, EventKind::kAllOff, 0, 0, 0.0f, 0.0f}, nullptr});
  release_all_ = false;
}

void LiveEngine::take_samples(std::span<float* const> out, std::size_t from,
                              std::size_t n) noexcept AUDIOGEN_REALTIME {
  const std::size_t n_real = std::min(n, samples_.back().size());
  for (std::size_t c = 0; c < samples_.size(); ++c) {
    samples_[c].pop({out[c] + from, n_real});
    samples_[c].skip(n - n_real);  // they will come too late
  }
  if (n_real < n) n_late_.count();
  if (n_real < n || output_ != Output::kPlaying) {
    fade(out, from, n, n_real);
  } else if (n > 0) {
    for (std::size_t c = 0; c < samples_.size(); ++c) held_[c] = out[c][from + n - 1];
  }
}

// Fades out when samples are late: the fade starts with the block and lasts as long as the samples
// that are there, but at least 2 ms; the last sample is held in place of the missing ones. Fades in
// again with the first complete block.
void LiveEngine::fade(std::span<float* const> out, std::size_t from, std::size_t n,
                      std::size_t n_real) noexcept AUDIOGEN_REALTIME {
  const bool audible = output_ == Output::kPlaying || output_ == Output::kFadingIn;
  if (n_real < n && audible) {
    output_ = Output::kFadingOut;
    gain_step_ = -1.0f / static_cast<float>(std::max(
                             n_real, fraction_of_second(settings_.sample_rate, kFadeOutDivisor)));
  } else if (output_ == Output::kFadingOut) {
    n_real = 0;  // a jump to later samples would click
  } else if (output_ == Output::kSilent) {
    if (n_real == n) {
      output_ = Output::kFadingIn;
      gain_step_ =
          1.0f / static_cast<float>(fraction_of_second(settings_.sample_rate, kFadeInDivisor));
    } else {
      n_real = 0;
    }
  }
  float gain = gain_;
  for (std::size_t c = 0; c < settings_.n_channels; ++c) {
    gain = gain_;
    for (std::size_t i = 0; i < n; ++i) {
      if (i < n_real) held_[c] = out[c][from + i];
      gain = std::clamp(gain + gain_step_, 0.0f, 1.0f);
      out[c][from + i] = gain * held_[c];
    }
  }
  gain_ = gain;
  if (output_ == Output::kFadingOut && gain == 0.0f) {
    output_ = Output::kSilent;
  } else if (output_ == Output::kFadingIn && gain == 1.0f) {
    output_ = Output::kPlaying;
  }
}

// Worker.

// Estimates how many notes the worker can start before samples are late.
class NoteBudget {
 public:
  // `start_s` is the duration of a note's start. `n_threads` start as many notes in that time.
  // Half of a block must be rendered before a start that takes longer than the margin.
  NoteBudget(double sample_rate, std::size_t lookahead, double margin_s, double start_s,
             std::size_t n_threads)
      : rate_(sample_rate),
        lookahead_(static_cast<double>(lookahead)),
        sufficient_s_(0.5 * (margin_s + lookahead_ / sample_rate)),
        n_threads_(n_threads),
        costs_{{start_s}, {2.0 * start_s}} {}

  // Starts from the measured duration of another instrument.
  void set_player(double start_s, std::size_t n_threads) {
    n_threads_ = n_threads;
    costs_[0] = {start_s};
    costs_[1] = {2.0 * start_s};
  }

  // Records that the events of `known` samples are known at time `now`. If the worker has not slept
  // since the last call, the block may have come earlier: at the time of the last block plus that
  // block's duration.
  void observe(std::uint64_t known, Clock::time_point now, bool slept) {
    if (known == known_) return;
    const Seconds passed(static_cast<double>(known - known_) / rate_);
    const auto expected = block_time_ + std::chrono::duration_cast<Clock::duration>(passed);
    block_time_ = slept ? now : std::min(now, expected);
    known_ = known;
  }

  // Number of notes that can be started before sample `rendered`, the next one, is due; 0 if they
  // had better wait than make samples late.
  std::size_t n_notes(std::uint64_t rendered, Clock::time_point now, bool morphed) const {
    const double samples_left =
        static_cast<double>(rendered) + lookahead_ - static_cast<double>(known_);
    const double left_s = samples_left / rate_ - Seconds(now - block_time_).count();
    const double each_s = costs_[morphed ? 1 : 0].seconds;
    const double needed_s = kStartSlack * each_s;
    if (left_s < std::min(needed_s, sufficient_s_)) return 0;
    return std::max<std::size_t>(1, static_cast<std::size_t>(left_s / needed_s)) * n_threads_;
  }

  // Records the time in which `n` notes were started.
  void record_starts(std::size_t n, double total_s, bool morphed) {
    const double seconds = total_s / static_cast<double>((n + n_threads_ - 1) / n_threads_);
    Cost& cost = costs_[morphed ? 1 : 0];
    const double eased = cost.seconds + kStartDecay * (seconds - cost.seconds);
    cost = {cost.guessed ? seconds : std::max(seconds, eased), false};
  }

 private:
  struct Cost {
    double seconds;  // duration of a note's start
    bool guessed = true;
  };

  double rate_, lookahead_;
  double sufficient_s_;  // with so much time left, notes are started however long it takes
  std::size_t n_threads_;
  Cost costs_[2];  // for one timbre, and for two that are morphed
  std::uint64_t known_ = 0;
  Clock::time_point block_time_ = Clock::now();
};

void LiveEngine::work() {
  const double rate = settings_.sample_rate;
  const double margin_s = static_cast<double>(lookahead_ - settings_.max_block) / rate;
  // Short, because a note's first frames take most of the margin.
  const Seconds nap(std::clamp(margin_s / 16.0, 50e-6, 2e-3));
  NoteBudget budget(rate, lookahead_, margin_s, player_->start_s, player_->engine.n_threads());
  const Player* budgeted = player_;
  double ahead_s = 0.0;  // time spent on work ahead since the last samples
  bool slept = true;
  while (!stop_.load(std::memory_order_relaxed)) {
    const std::uint32_t request = offline_request_.load(std::memory_order_acquire);
    if (request % 2 != 0) {  // the audio thread renders
      parked_.store(request, std::memory_order_release);
      std::this_thread::sleep_for(nap);
      slept = true;
      continue;
    }
    const Clock::time_point start = Clock::now();
    const std::uint64_t known = known_.load(std::memory_order_acquire);
    const std::uint64_t before = rendered_.load(std::memory_order_relaxed);
    const auto value = [this](Parameter which) {
      return parameters_[static_cast<std::size_t>(which)].get();
    };
    const bool morphed = value(Parameter::kMorph) > 0.0f || value(Parameter::kTimbreMap) >= 0.5f;
    if (std::exchange(budgeted, player_) != player_) {
      budget.set_player(player_->start_s, player_->engine.n_threads());
    }
    budget.observe(known, start, std::exchange(slept, false));
    find_chord(known);
    const std::size_t most_notes = budget.n_notes(before, start, morphed);
    std::size_t notes_left = most_notes;
    const std::size_t most_starts = prepare_chord(notes_left);
    std::size_t starts_left = most_starts;
    const std::size_t n_ready = n_prepared_;
    const bool rendered = render_some(known, starts_left);
    // Prepared notes start in no time.
    const std::size_t n_started = most_starts - starts_left;
    const std::size_t n_worked = most_notes - notes_left + n_started - std::min(n_started, n_ready);
    const double spent_s = Seconds(Clock::now() - start).count();
    if (n_worked > 0) budget.record_starts(n_worked, spent_s, morphed);
    if (rendered) {
      const double lasts_s =
          static_cast<double>(rendered_.load(std::memory_order_relaxed) - before) / rate;
      const double weight = std::min(1.0, lasts_s / kLoadSmoothing);
      const double load = (spent_s + std::exchange(ahead_s, 0.0)) / lasts_s;
      load_.set(load_.get() + static_cast<float>(weight * (load - load_.get())));
    } else if (n_worked > 0 || player_->engine.work_ahead()) {
      ahead_s += Seconds(Clock::now() - start).count();
    } else {
      std::this_thread::sleep_for(nap);
      slept = true;
    }
  }
}

void LiveEngine::render_all(std::uint64_t until) noexcept AUDIOGEN_REALTIME {
  std::size_t notes = kAnyNotes;
  while (render_some(until, notes)) continue;
}

void LiveEngine::find_chord(std::uint64_t until) noexcept AUDIOGEN_REALTIME {
  const std::size_t span = fraction_of_second(settings_.sample_rate, kChordDivisor);
  n_chord_ = 0;
  chord_is_next_ = true;
  for (std::size_t i = 0; n_chord_ < chord_.size(); ++i) {
    const Command* const command = commands_.peek(i);
    if (command == nullptr || command->player != nullptr || command->at >= until) return;
    if (command->event.kind == EventKind::kNoteOn) {
      if (n_chord_ > 0 && command->at > chord_begin_ + span) return;
      if (n_chord_ == 0) chord_begin_ = command->at;
      chord_[n_chord_++] = command->event;
    } else if (command->event.kind != EventKind::kNoteOff) {
      if (n_chord_ > 0) return;  // it may change the notes after it
      chord_is_next_ = false;
    }
  }
}

bool LiveEngine::chord_is_late() const noexcept AUDIOGEN_REALTIME {
  return rendered_.load(std::memory_order_relaxed) > chord_begin_ + longest_delay_ / 2;
}

std::size_t LiveEngine::prepare_chord(std::size_t& notes_left) noexcept AUDIOGEN_REALTIME {
  const std::size_t n_missing = n_unprepared();
  if (n_missing <= notes_left || chord_is_late()) return n_prepared_ + notes_left;
  if (!chord_is_next_ || notes_left == 0) return 0;
  const std::size_t n_done =
      player_->engine.prepare({chord_.data() + n_prepared_, std::min(n_missing, notes_left)});
  if (n_done == 0) return n_prepared_ + notes_left;  // they start one after another
  n_prepared_ += n_done;
  notes_left -= n_done;
  return 0;
}

bool LiveEngine::render_some(std::uint64_t until,
                             std::size_t& notes_left) noexcept AUDIOGEN_REALTIME {
  const std::uint64_t now = rendered_.load(std::memory_order_relaxed);
  std::size_t n = std::min(kRenderBlock, samples_.back().space());
  n = static_cast<std::size_t>(std::min<std::uint64_t>(n, until - now));
  if (n == 0) return false;
  std::size_t n_events = 0;
  // All commands before `until` are in the ring, so `events_` has room for them.
  for (const Command* command = commands_.front(); command != nullptr && command->at < now + n;
       command = commands_.front()) {
    if (command->player != nullptr) {
      if (command->at > now) {
        n = static_cast<std::size_t>(command->at - now);  // it plays from the next call on
        break;
      }
      start(command->player);
    } else {
      Event event = command->event;
      if (event.kind == EventKind::kNoteOn) {
        if (notes_left > 0) {
          --notes_left;
        } else if (now + n <= command->at + longest_delay_) {
          break;
        }
        if (command->at < now) n_delayed_.count();
        n_prepared_ -= std::min<std::size_t>(n_prepared_, 1);
      }
      event.offset = command->at < now ? 0 : static_cast<std::uint32_t>(command->at - now);
      events_[n_events++] = event;
      if (event.kind == EventKind::kParameter && event.id < kParameterCount &&
          std::isfinite(event.value)) {
        parameters_[event.id].set(event.value);
        is_set_[event.id].set(true);
      }
    }
    commands_.skip(1);
  }
  Engine& engine = player_->engine;
  for (std::size_t c = 0; c < inputs_.size(); ++c) {
    const std::size_t n_input = inputs_[c].pop({input_channels_[c], n});
    std::fill_n(input_channels_[c] + n_input, n - n_input, 0.0f);
  }
  engine.process(block_channels_, n, {events_.data(), n_events},
                 {input_channels_.data(), input_channels_.size()});
  add_fading(n);
  for (std::size_t c = 0; c < samples_.size(); ++c) samples_[c].push({block_channels_[c], n});
  n_sounding_.set(engine.n_sounding());
  n_transposed_.set(n_transposed_before_ + engine.n_transposed());
  n_stolen_.set(n_stolen_before_ + engine.n_stolen());
  rendered_.store(now + n, std::memory_order_release);
  return true;
}

void LiveEngine::add_fading(std::size_t n) noexcept AUDIOGEN_REALTIME {
  const float length =
      static_cast<float>(fraction_of_second(settings_.sample_rate, kSwapDivisor) + 1);
  for (Player** link = &fading_; *link != nullptr;) {
    Player& player = **link;
    const std::size_t m = std::min(n, player.fade_left);
    player.engine.process(tail_channels_, m, {});
    for (std::size_t c = 0; c < samples_.size(); ++c) {
      for (std::size_t i = 0; i < m; ++i) {
        const float gain = static_cast<float>(player.fade_left - i) / length;
        block_channels_[c][i] += gain * tail_channels_[c][i];
      }
    }
    player.fade_left -= m;
    if (player.fade_left > 0) {
      link = &player.next;
    } else {
      *link = player.next;
      player.done.store(true, std::memory_order_release);  // it may be deleted from here on
    }
  }
}

void LiveEngine::start(Player* player) noexcept AUDIOGEN_REALTIME {
  n_transposed_before_ += player_->engine.n_transposed();
  n_stolen_before_ += player_->engine.n_stolen();
  n_prepared_ = 0;
  player_->next = std::exchange(fading_, player_);
  player_ = player;
  // Sets the parameters again: some may have changed since `copy_parameters`.
  std::array<Event, kParameterCount> events;
  std::size_t n = 0;
  for (std::uint32_t i = 0; i < kParameterCount; ++i) {
    if (is_set_[i].get())
      events[n++] = {0, EventKind::kParameter, i, 0, 0.0f, parameters_[i].get()};
  }
  player_->engine.process(block_channels_, 0, {events.data(), n});
}

// Control threads.

// Gives a new player the current parameters, so that they don't move during its first note.
void LiveEngine::copy_parameters(Player& player) const {
  std::vector<Event> events;
  for (std::uint32_t i = 0; i < kParameterCount; ++i) {
    if (!is_set_[i].get()) continue;
    events.push_back({0, EventKind::kParameter, i, 0, 0.0f, parameters_[i].get()});
  }
  std::vector<float> no_samples(1);
  const std::vector<float*> out(settings_.n_channels, no_samples.data());
  player.engine.process(out, 0, events);
}

void LiveEngine::delete_finished_players() {
  std::erase_if(players_, [](const std::unique_ptr<Player>& player) {
    return player->done.load(std::memory_order_acquire);
  });
}

bool LiveEngine::post(const Event& event) {
  const std::lock_guard lock(control_);
  delete_finished_players();
  const bool posted = posted_.push(event);
  if (!posted) {
    n_dropped_.count();
    lost_.store(true, std::memory_order_release);
  }
  return posted;
}

void LiveEngine::swap(std::shared_ptr<const Instrument> instrument) {
  replace(std::move(instrument), std::nullopt);
}

void LiveEngine::restart(std::shared_ptr<const Instrument> instrument, std::uint64_t seed) {
  replace(std::move(instrument), seed);
}

void LiveEngine::replace(std::shared_ptr<const Instrument> instrument,
                         std::optional<std::uint64_t> seed) {
  LiveSettings settings = settings_;
  {
    const std::lock_guard lock(control_);
    seed_ = settings.seed = seed.value_or(seed_);
  }
  auto player = std::make_unique<Player>(std::move(instrument), settings);
  copy_parameters(*player);
  const std::lock_guard lock(control_);
  delete_finished_players();
  players_.push_back(std::move(player));
  Player* added = players_.back().get();
  latency_.set(lookahead_ + added->engine.latency());
  if (Player* unused = incoming_.exchange(added, std::memory_order_acq_rel)) {
    unused->done.store(true, std::memory_order_relaxed);
    delete_finished_players();
  }
}

}  // namespace audiogen::engine
