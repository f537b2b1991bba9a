import { type DefaultTheme, defineConfig } from "vitepress";
import { apiSidebar } from "./api-sidebar.ts";
import { repositoryLinks } from "./repository-links.ts";
import { searchWords } from "./search.ts";

const starters = [
  { text: "Memory", link: "/starters/memory" },
  { text: "SQLite", link: "/starters/sqlite" },
  { text: "Redis", link: "/starters/redis" },
  { text: "MongoDB", link: "/starters/mongodb" },
  { text: "Elasticsearch", link: "/starters/elasticsearch" },
  { text: "PostgreSQL", link: "/starters/postgresql" },
  { text: "Files", link: "/starters/file" },
];

const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: "Guide",
    items: [
      { text: "Getting started", link: "/getting-started" },
      { text: "Connections", link: "/guide/connections" },
      { text: "Transfers", link: "/guide/transfers" },
      { text: "Write your own starter", link: "/guide/write-a-starter" },
      { text: "Tuning", link: "/guide/tuning" },
      { text: "Performance", link: "/guide/performance" },
      { text: "A whole database", link: "/guide/databases" },
      { text: "Mirror", link: "/guide/mirror" },
      { text: "Follow", link: "/guide/follow" },
      { text: "Scaling", link: "/guide/scaling" },
      { text: "When things fail", link: "/guide/failure-modes" },
      { text: "What it promises", link: "/guide/promises" },
      { text: "Coming from Java", link: "/guide/migrating-from-java" },
      { text: "Examples", link: "/examples" },
    ],
  },
  { text: "Starters", link: "/starters/", items: starters },
  {
    text: "Reference",
    items: [
      { text: "Command line", link: "/cli" },
      { text: "Many machines", link: "/engine" },
      { text: "Testkit", link: "/testkit" },
      { text: "API", link: "/api/" },
    ],
  },
];

const startersZh = [
  { text: "内存", link: "/zh/starters/memory" },
  { text: "SQLite", link: "/zh/starters/sqlite" },
  { text: "Redis", link: "/zh/starters/redis" },
  { text: "MongoDB", link: "/zh/starters/mongodb" },
  { text: "Elasticsearch", link: "/zh/starters/elasticsearch" },
  { text: "PostgreSQL", link: "/zh/starters/postgresql" },
  { text: "文件", link: "/zh/starters/file" },
];

const sidebarZh: DefaultTheme.SidebarItem[] = [
  {
    text: "指南",
    items: [
      { text: "快速上手", link: "/zh/getting-started" },
      { text: "连接", link: "/zh/guide/connections" },
      { text: "传输", link: "/zh/guide/transfers" },
      { text: "编写自己的 starter", link: "/zh/guide/write-a-starter" },
      { text: "调优", link: "/zh/guide/tuning" },
      { text: "性能", link: "/zh/guide/performance" },
      { text: "整个数据库", link: "/zh/guide/databases" },
      { text: "镜像", link: "/zh/guide/mirror" },
      { text: "跟随", link: "/zh/guide/follow" },
      { text: "扩展", link: "/zh/guide/scaling" },
      { text: "故障情形", link: "/zh/guide/failure-modes" },
      { text: "保证与检验", link: "/zh/guide/promises" },
      { text: "从 Java 迁移", link: "/zh/guide/migrating-from-java" },
      { text: "示例", link: "/zh/examples" },
    ],
  },
  { text: "Starter", link: "/zh/starters/", items: startersZh },
  {
    text: "参考",
    items: [
      { text: "命令行", link: "/zh/cli" },
      { text: "多台机器", link: "/zh/engine" },
      { text: "测试套件", link: "/zh/testkit" },
      { text: "API（英文）", link: "/api/" },
    ],
  },
];

export default defineConfig({
  title: "@omni/p2p",
  description: "Move records between stores over managed point-to-point connections.",
  // For a site that does not stand at the root of its host.
  base: (process.env.DOCS_BASE ?? "/") as `/${string}/`,
  srcExclude: ["README.md", "test/**"],
  markdown: { config: repositoryLinks },
  themeConfig: {
    // The API reference is English alone, so the menu of languages leads to the home pages; every other page links to its
    // translation.
    i18nRouting: false,
    search: {
      provider: "local",
      options: {
        miniSearch: { options: { tokenize: searchWords } },
        locales: {
          zh: {
            translations: {
              button: { buttonText: "搜索", buttonAriaLabel: "搜索" },
              modal: {
                displayDetails: "显示详情",
                resetButtonTitle: "清除",
                backButtonTitle: "返回",
                noResultsText: "没有找到",
                footer: { selectText: "选择", navigateText: "切换", closeText: "关闭" },
              },
            },
          },
        },
      },
    },
    socialLinks: [{ icon: "github", link: "https://github.com/omni-p2p/omni-p2p" }],
  },
  locales: {
    root: {
      label: "English",
      lang: "en",
      themeConfig: {
        nav: [
          { text: "Guide", link: "/getting-started" },
          { text: "Starters", link: "/starters/" },
          { text: "Command line", link: "/cli" },
          { text: "Many machines", link: "/engine" },
          { text: "API", link: "/api/" },
        ],
        sidebar: {
          "/api/": [{ text: "API reference", link: "/api/", items: apiSidebar() }],
          "/": sidebar,
        },
        outline: [2, 3],
      },
    },
    zh: {
      label: "简体中文",
      lang: "zh-Hans",
      description: "在受管理的点对点连接上，把记录从一个存储搬到另一个存储。",
      themeConfig: {
        nav: [
          { text: "指南", link: "/zh/getting-started" },
          { text: "Starter", link: "/zh/starters/" },
          { text: "命令行", link: "/zh/cli" },
          { text: "多台机器", link: "/zh/engine" },
          { text: "API（英文）", link: "/api/" },
        ],
        sidebar: { "/zh/": sidebarZh },
        outline: { level: [2, 3], label: "本页内容" },
        docFooter: { prev: "上一页", next: "下一页" },
        darkModeSwitchLabel: "外观",
        sidebarMenuLabel: "菜单",
        returnToTopLabel: "回到顶部",
        langMenuLabel: "切换语言",
      },
    },
  },
});
