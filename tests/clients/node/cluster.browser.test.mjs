// The page of the cluster example: people on two servers talk, and one of the servers is killed.
// Screenshots go to target/artifacts/.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { artifacts, launch } from "./browser.mjs";
import { Server } from "./support.mjs";

for (const [policy, argument] of [["sticky", ""], ["round-robin", " round-robin"]]) {
  describe(`the cluster in a browser, ${policy}`, { timeout: 120_000 }, () => {
    let cluster, browser;
    const troubles = [];

    /** A window with cookies of its own, in which somebody has entered. */
    const enter = async (name, viewport = { width: 1000, height: 640 }) => {
      const context = await browser.newContext({ viewport });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      page.on("pageerror", (error) => troubles.push(`${name}: ${error.stack}`));
      page.on("dialog", (dialog) => {
        troubles.push(`${name}: a script from a message ran`);
        dialog.dismiss();
      });
      await page.goto(cluster.url);
      await page.getByLabel("Your name").fill(name);
      await page.keyboard.press("Enter");
      await page.locator("#status", { hasText: "Connected to" }).waitFor();
      return page;
    };
    const serverOf = (page) => page.locator("#status b").textContent();
    const say = async (page, text) => {
      await page.getByLabel("Message", { exact: true }).fill(text);
      await page.keyboard.press("Enter");
    };
    const heard = (page, text) => page.locator("#messages li", { hasText: text }).waitFor();
    const listed = (page, server, name) =>
      page.locator(".server", { has: page.getByRole("button", { name: server }) }).locator("li", { hasText: name }).waitFor();
    const shoot = async (page, name) => {
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(artifacts, `cluster-${policy}-${name}-${colorScheme}.png`) });
      }
    };

    before(async () => {
      cluster = await Server.start(`${process.env.CLUSTER_EXAMPLE_CMD}${argument}`);
      browser = await launch();
    });
    after(async () => {
      await browser?.close();
      await cluster?.stop();
    });

    test("people on all servers talk, and those of a killed server move", async () => {
      const pages = new Map();
      const servers = new Map();
      for (const name of ["Ada", "Grace", "Linus <b>", "Barbara", "Edsger", "Margaret"]) {
        pages.set(name, await enter(name));
        servers.set(name, await serverOf(pages.get(name)));
        if (new Set(servers.values()).size === 2 && servers.size >= 3) break;
        // The servers take turns for every request, so that a page with an even number of them may always meet the same.
        if (servers.size > 1) await fetch(cluster.url);
      }
      assert.equal(new Set(servers.values()).size, 2, `both servers have clients: ${[...servers]}`);

      for (const [name, page] of pages) {
        const text = `hello from ${name} <img src=x onerror=alert(1)>`;
        await say(page, text);
        for (const other of pages.values()) await heard(other, text);
      }
      for (const page of pages.values()) {
        for (const [name, server] of servers) await listed(page, server, name);
      }
      const ada = pages.get("Ada");
      await shoot(ada, "all");

      const doomed = servers.get("Ada");
      const other = ["amber", "blue"].find((name) => name !== doomed);
      await ada.getByRole("button", { name: `Kill ${doomed}` }).click();
      await ada.locator("#status b", { hasText: other }).waitFor();
      for (const page of pages.values()) {
        await page.locator("#status b", { hasText: other }).waitFor();
        for (const name of servers.keys()) await listed(page, other, name);
      }
      await say(ada, "still here");
      for (const page of pages.values()) await heard(page, "still here");
      await shoot(ada, "killed");

      await ada.getByRole("button", { name: `Start ${doomed}` }).click();
      await ada.getByRole("button", { name: `Kill ${doomed}` }).waitFor();
      assert.deepEqual(troubles, []);
    });

    test("a phone has it all", async () => {
      const phone = await enter("Donald", { width: 390, height: 780 });
      await phone.getByRole("button", { name: /amber/ }).click({ trial: true });
      await shoot(phone, "phone");
      assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, "nothing is cut off");
    });
  });
}
