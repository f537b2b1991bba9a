import type { Words } from "./page.ts";

/** The page's words in Chinese. */
export const chinese: Words = {
  title: "性能",
  other: "[English](../../guide/performance.md)",
  bench: "../../../bench",
  opening:
    "本库与最好的手写循环相差多少，又比常见的写法快多少。数字来自 `npm run bench`，本页也由它生成。速率只属于这台机器；可以推广到别的机器的是比值。",
  none: "还没有测量结果。",
  machine: "机器",
  machineTable: ["项目", "值"],
  machineRows: ["处理器", "内存", "Node", "服务器", "测量日期", "每个方向的轮数"],
  cores: (cores) => `${cores} 核`,
  elsewhere: (machine) => `标出的方向是在另一台机器上测量的：${machine}。它们的比值可以与其他方向相比，速率不能。`,
  sharing: "服务器跑在同一台机器上，服务器、客户端和本库共用它的核。",
  ferretdb: "FerretDB 使用 MongoDB 的协议，数据存在 SQLite 里：这里凡是关于 MongoDB 的数字，说的都是它。",
  method: "方法",
  methodPoints: [
    "**本库**：用默认设置执行 `establish`、`transferThroughConnection` 和 `close`，把源里的全部记录搬到一个空的目标。",
    "**最好的循环**：直接用存储自己的客户端手写，用上一切已知有效的办法：按键或游标翻页并提前取下一页、最大的有用命令、多个写入同时进行、字段名直接写在代码里。它在目标里留下的内容与本库相同，但不能续传、不计数、不重试，也说不出哪条记录失败。同类存储之间，它把客户端给出的内容原样交出去，不拆开。这些循环在 [`bench/src/limits`](../../../bench/src/limits/index.ts)，每种存储一个读、一个写。",
    "**常见的循环**：多数项目里的写法，用 OFFSET 或游标取一页，每条记录等一次写入。它跑两秒就停，免去了越往后越贵的页。",
    "**elasticdump**：npm 上的工具，按通常的方式启动，用最适合它的页大小。它把索引复制到索引；涉及文件时与 SQLite 并列比较：索引到文件对 Elasticsearch 到 SQLite，文件到索引对 SQLite 到 Elasticsearch。",
    "每个方向在一个进程里轮流运行以上各项，先跑一轮不计。每轮各取比值，数字是它们的中位数。",
    "每个方向用 200,000 条记录；若一轮会超过十二秒，则用 100,000、50,000 或 20,000 条。增长在新的进程里测量，记录数为十倍；若会超过四分钟，则为五倍或两倍；半分钟之内能跑完的测三次，取中位数。",
    "各方向可能是在不同的时候测量的；各自的日期和提交见[结果](../../../bench/results/results.json)。",
  ],
  shapes: {
    text: {
      heading: "带一段文字的记录",
      about: "一段真实的 Markdown 加几个小字段，约 600 字节。",
      chart: "Records with a text",
    },
    wide: {
      heading: "30 个小字段的记录",
      about: "十个文本、十四个数字、四个布尔值和两个日期，写成 JSON 约 600 字节。",
      chart: "Records with 30 small fields",
    },
  },
  speedTable: ["方向", "记录数", "记录/秒", "与最好的循环之比", "常见循环的倍数", "elasticdump 的倍数"],
  growthIntro:
    "在新的进程里搬更多的记录：每条记录的时间变为几倍、整个进程（只装载这个方向用得到的东西）的内存峰值，以及 5 毫秒的定时器在 100 次里有 99 次晚不过多少。内存里的存储持有每一条记录，源在开始之前就有，目标随搬随增，所以峰值和垃圾回收的工作自然随之增长；这时括号里是最好的循环的数字。2026-11-28 之前测的峰值（日期见结果文件）来自装载了所有存储客户端的进程，最多偏高 180 MB。",
  growthTable: ["方向", "记录数", "每条记录的时间", "峰值 MB", "定时器晚了，毫秒"],
  mirrors: "镜像与复制、核对相比",
  mirrorsIntro:
    "让目标保持一致要多少时间：复制到空的目标；两端相等时的 `verify`；1 % 的记录被改、1 % 缺少、1 % 多出时的[镜像](./mirror.md)；以及无事可做的镜像；还有读取每一端的最佳手写循环。前几项都包括 `establish`，用带一段文字的记录，在一个进程里轮流进行。数字是各轮比值的中位数，由 `node bench/src/mirrors.ts` 测量，每轮的时间见[结果](../../../bench/results/mirrors.json)。没有差异时镜像把两端读一遍，有差异时再读一遍。",
  mirrorsTable: [
    "方向",
    "记录数",
    "核对 / 复制",
    "核对 / 较慢一端的读取循环",
    "镜像 / 核对",
    "无事的镜像 / 核对",
    "镜像 / 复制",
  ],
  missed: "没有达到的",
  missedIntro: (targets) => `目标：${targets}。以下方向没有达到：`,
  allReached: (targets) => `目标：${targets}。测量过的方向全部达到。`,
  targets: {
    bestLoop: "不低于最好的循环的 0.9",
    usualLoop: "写入网络时不低于常见循环的 10 倍",
    elasticdump: "Elasticsearch 到 Elasticsearch 不低于 elasticdump 的 3 倍",
    growth: "记录增多后每条记录的时间不超过 1.2 倍",
    memoryGrowth: "SQLite 到 SQLite 和到 Redis 的内存峰值不超过 1.25 倍",
    peakMemory: "SQLite 到 Redis 的内存峰值低于 300 MB",
    timers: "定时器在 100 次里有 99 次晚不过 50 毫秒",
  },
  missedTable: ["方向", "形状", "目标", "测得", "原因"],
  unexplained: "尚不清楚",
  profile: "剖析",
  repeat: "如何重复",
  repeatPoints: [
    "服务器由测量程序启动，见[测试服务](../../../tools/test-services/README.md)。全部跑完要几个小时；也可以单独测量某个方向，新的数字会取代结果里它自己的旧数字。",
    "本库和最好的循环的 CPU 剖析，可在浏览器的开发者工具里打开，并各附一份摘要。剖析的是整个进程，所以内存源的剖析里也有从 SQLite 装入它的过程：",
  ],
};
