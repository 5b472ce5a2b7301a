// When each word passes where: the rules of geocore/edge/dataflow_modules.py, compiled.
//
// dataflow INPUT OUTPUT. INPUT holds 64-bit integers: the number of channels, that of processes, for each
// process its kind and, each behind its count, the channels that it reads, those that it gives and its
// numbers; then a count of limits, and for each of the sink's first words the last cycle in which it may be
// taken, counted from the one in which the first word of the first process is. OUTPUT: 1 if a word came later
// and nothing was followed from there, else 0; the count of the sink's words and the cycle of each; that of the
// first process's first word; of each channel the words offered and those taken; of
// each process the largest number of places in use, 0 but for queues. Ends with 2 for a file that it
// cannot read or write.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

using Cycle = int64_t;
using Numbers = std::vector<int64_t>;

struct Process;
static std::vector<Process *> runnable;

struct Process {
    bool waits = false;                  // it is among the runnable
    int64_t most = 0;
    virtual ~Process() = default;
    virtual void run() = 0;              // as far as the cycles that are known let it
    void wake() {
        if (!waits) {
            waits = true;
            runnable.push_back(this);
        }
    }
};

struct Channel {
    std::vector<Cycle> offered, taken;
    Process *giver = nullptr, *taker = nullptr;
    void offer(Cycle cycle) {
        offered.push_back(cycle);
        taker->wake();
    }
    void take(Cycle cycle) {
        taken.push_back(cycle);
        giver->wake();
    }
    bool has_offered(int64_t word) const { return word < (int64_t)offered.size(); }
    bool has_taken(int64_t word) const { return word < (int64_t)taken.size(); }
};

using Channels = std::vector<Channel *>;

struct Source : Process {
    Channel &out;
    int64_t words, sent = 0;
    Source(Channels &, Channels &given_to, Numbers &n) : out(*given_to[0]), words(n[0]) {}
    void run() override {
        while (sent < words && (sent == 0 || out.has_taken(sent - 1))) {
            out.offer(sent ? out.taken[sent - 1] + 1 : 0);
            sent++;
        }
    }
};

struct Sink : Process {
    Channel &given;
    Channel *first = nullptr;            // the source's
    Numbers limits;
    bool late = false;
    Sink(Channels &reads, Channels &, Numbers &) : given(*reads[0]) {}
    void run() override {
        while (given.taken.size() < given.offered.size()) {
            const std::size_t word = given.taken.size();
            if (word < limits.size() && first->has_taken(0) &&
                given.offered[word] - first->taken[0] > limits[word])
                late = true;
            given.take(given.offered[word]);
        }
    }
};

struct Fork : Process {
    Channel &given;
    Channels ways;
    int64_t words, word = 0;
    bool open = false;                   // the word is offered, and not all have taken it
    Fork(Channels &reads, Channels &gives, Numbers &n) : given(*reads[0]), ways(gives), words(n[0]) {}
    void run() override {
        while (word < words) {
            if (!open) {
                if (!given.has_offered(word))
                    return;
                for (Channel *way : ways)
                    way->offer(given.offered[word]);
                open = true;
            }
            Cycle last = 0;
            for (Channel *way : ways) {
                if (!way->has_taken(word))
                    return;
                last = std::max(last, way->taken[word]);
            }
            given.take(last);
            open = false;
            word++;
        }
    }
};

struct Queue : Process {
    Channels given;
    Channel &out;
    int64_t depth, delay, words, left = 0, read = 0;
    std::vector<Cycle> written;
    Queue(Channels &reads, Channels &gives, Numbers &n)
        : given(reads), out(*gives[0]), depth(n[0]), delay(n[1]), words(n[2]) {}
    bool enter() {
        const int64_t word = written.size();
        if (word == words || (word >= depth && !out.has_taken(word - depth)))
            return false;
        Cycle cycle = word ? written[word - 1] + 1 : 0;
        for (Channel *channel : given) {
            if (!channel->has_offered(word))
                return false;
            cycle = std::max(cycle, channel->offered[word]);
        }
        if (word >= depth)
            cycle = std::max(cycle, out.taken[word - depth] + 1);
        for (Channel *channel : given)
            channel->take(cycle);
        written.push_back(cycle);
        return true;
    }
    bool leave() {
        if (left == (int64_t)written.size() || (left && !out.has_taken(left - 1)))
            return false;
        Cycle there = written[left] + delay;
        if (left)
            there = std::max(there, out.taken[left - 1] + 1);
        out.offer(there);
        left++;
        return true;
    }
    void run() override {
        for (bool moves = true; moves;) {
            moves = false;
            while (enter())
                moves = true;
            while (leave())
                moves = true;
        }
    }
    void measure() {
        for (std::size_t word = 0; word < written.size(); word++) {
            while (out.has_taken(read) && out.taken[read] < written[word])
                read++;
            most = std::max<int64_t>(most, word + 1 - read);
        }
    }
};

struct Window : Process {
    Channel &given, &out;
    int64_t height, width, rows, columns, stride, above, below, left, right, images;
    int64_t image = 0, row = 0, column = 0, pixel = 0, sent = 0;
    Cycle step = -1;
    Window(Channels &reads, Channels &gives, Numbers &n)
        : given(*reads[0]), out(*gives[0]), height(n[0]), width(n[1]), rows(n[2]), columns(n[3]),
          stride(n[4]), above(n[5]), below(n[6]), left(n[7]), right(n[8]), images(n[9]) {}
    void run() override {
        while (image < images) {
            const bool on_image =
                row >= above && row < above + height && column >= left && column < left + width;
            if ((sent && !out.has_taken(sent - 1)) || (on_image && !given.has_offered(pixel)))
                return;
            step++;
            if (sent)
                step = std::max(step, out.taken[sent - 1]);
            if (on_image) {
                step = std::max(step, given.offered[pixel++]);
                given.take(step);
            }
            if (row >= rows - 1 && (row - rows + 1) % stride == 0 && column >= columns - 1 &&
                (column - columns + 1) % stride == 0) {
                out.offer(step + 1);
                sent++;
            }
            if (++column == width + left + right) {
                column = 0;
                if (++row == height + above + below) {
                    row = 0;
                    image++;
                }
            }
        }
    }
};

struct Pool : Process {
    Channel &given, &out;
    int64_t height, width, size, images;
    int64_t image = 0, row = 0, column = 0, pixel = 0, sent = 0;
    Cycle step = -1;
    Pool(Channels &reads, Channels &gives, Numbers &n)
        : given(*reads[0]), out(*gives[0]), height(n[0]), width(n[1]), size(n[2]), images(n[3]) {}
    void run() override {
        while (image < images) {
            if ((sent && !out.has_taken(sent - 1)) || !given.has_offered(pixel))
                return;
            step++;
            if (sent)
                step = std::max(step, out.taken[sent - 1]);
            step = std::max(step, given.offered[pixel++]);
            given.take(step);
            if (row % size == size - 1 && row / size < height / size &&
                column % size == size - 1 && column / size < width / size) {
                out.offer(step + 1);
                sent++;
            }
            if (++column == width) {
                column = 0;
                if (++row == height) {
                    row = 0;
                    image++;
                }
            }
        }
    }
};

struct Upsample : Process {
    Channel &given, &out;
    int64_t rows, width, factor;         // rows of all images
    int64_t row = 0, copy = 0, column = 0, along = 0, sent = 0;
    Cycle before = -1;
    bool open = false;
    Upsample(Channels &reads, Channels &gives, Numbers &n)
        : given(*reads[0]), out(*gives[0]), rows(n[0] * n[3]), width(n[1]), factor(n[2]) {}
    void run() override {
        while (row < rows) {
            if (!open) {
                const int64_t pixel = row * width + column;
                Cycle cycle = before + 1;
                if (copy == 0) {
                    if (!given.has_offered(pixel))
                        return;
                    cycle = std::max(cycle, given.offered[pixel]);
                }
                out.offer(cycle);
                open = true;
            }
            if (!out.has_taken(sent))
                return;
            before = out.taken[sent++];
            open = false;
            if (copy == 0 && along == factor - 1)
                given.take(before);
            if (++along < factor)
                continue;
            along = 0;
            if (++column < width)
                continue;
            column = 0;
            if (++copy < factor)
                continue;
            copy = 0;
            row++;
        }
    }
};

struct Dense : Process {
    Channel &given, &out;
    int64_t beats, steps, values, beat = 0, value = 0, word = 0;
    Cycle step = -1;
    std::vector<std::pair<Cycle, Cycle>> held;
    Dense(Channels &reads, Channels &gives, Numbers &n)
        : given(*reads[0]), out(*gives[0]), beats(n[0]), steps(n[1]), values(n[2]) {}
    Cycle moving(Cycle cycle) const {
        for (const auto &pair : held)
            if (pair.first <= cycle && cycle < pair.second)
                cycle = pair.second;
        return cycle;
    }
    Cycle later(Cycle cycle, int64_t moves) const {
        for (; moves; moves--)
            cycle = moving(cycle + 1);
        return cycle;
    }
    void run() override {
        while (value < values) {
            for (; beat < beats; beat++) {
                if (!given.has_offered(word))
                    return;
                const Cycle entry = moving(std::max<Cycle>({step, given.offered[word], 0}));
                given.take(entry);
                word++;
                step = later(moving(entry + 1), steps - 1);
            }
            if (value && !out.has_taken(value - 1))
                return;
            Cycle ready = later(step, 3);
            if (value && out.taken[value - 1] > ready) {
                const Cycle end = out.taken[value - 1], begin = step;
                held.erase(std::remove_if(held.begin(), held.end(),
                                          [begin](const auto &pair) { return pair.second <= begin; }),
                           held.end());
                held.emplace_back(ready, end);
                ready = end;
            }
            out.offer(ready + 1);
            value++;
            beat = 0;
        }
    }
};

template <class T>
static std::unique_ptr<Process> made(Channels &reads, Channels &gives, Numbers &numbers) {
    return std::unique_ptr<Process>(new T(reads, gives, numbers));
}

// In the order of KINDS in geocore/edge/dataflow_network.py.
static const decltype(&made<Source>) makers[] = {made<Source>, made<Sink>, made<Fork>,
                                                 made<Queue>,  made<Window>, made<Pool>,
                                                 made<Upsample>, made<Dense>};

int main(int count, char **arguments) {
    FILE *file = count == 3 ? std::fopen(arguments[1], "rb") : nullptr;
    if (!file)
        return 2;
    Numbers in;
    int64_t buffer[4096];
    for (std::size_t got; (got = std::fread(buffer, sizeof(int64_t), 4096, file)) > 0;)
        in.insert(in.end(), buffer, buffer + got);
    std::fclose(file);
    std::size_t place = 0;
    auto next = [&] { return in.at(place++); };
    auto several = [&] {
        Numbers found(next());
        for (int64_t &number : found)
            number = next();
        return found;
    };

    std::vector<Channel> channels(next());
    std::vector<std::unique_ptr<Process>> processes(next());
    Sink *sink = nullptr;
    Channel *first = nullptr;
    for (auto &process : processes) {
        const int64_t kind = next();
        Channels reads, gives;
        for (int64_t n : several())
            reads.push_back(&channels.at(n));
        for (int64_t n : several())
            gives.push_back(&channels.at(n));
        Numbers numbers = several();
        process = makers[kind](reads, gives, numbers);
        for (Channel *channel : reads)
            channel->taker = process.get();
        for (Channel *channel : gives)
            channel->giver = process.get();
        if (auto *found = dynamic_cast<Sink *>(process.get()))
            sink = found;
        if (!first)
            first = gives.at(0);
    }
    sink->limits = several();
    sink->first = first;

    for (auto &process : processes)
        process->wake();
    while (!runnable.empty() && !sink->late) {
        Process *process = runnable.back();
        runnable.pop_back();
        process->waits = false;
        process->run();
    }

    Numbers out{sink->late, (int64_t)sink->given.taken.size()};
    out.insert(out.end(), sink->given.taken.begin(), sink->given.taken.end());
    out.push_back(first->taken.empty() ? 0 : first->taken[0]);
    for (const Channel &channel : channels) {
        out.push_back(channel.offered.size());
        out.push_back(channel.taken.size());
    }
    for (auto &process : processes) {
        if (auto *queue = dynamic_cast<Queue *>(process.get()))
            queue->measure();
        out.push_back(process->most);
    }
    file = std::fopen(arguments[2], "wb");
    if (!file || std::fwrite(out.data(), sizeof(int64_t), out.size(), file) != out.size())
        return 2;
    return std::fclose(file) ? 2 : 0;
}
