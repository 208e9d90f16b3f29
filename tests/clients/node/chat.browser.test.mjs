// The chat example's page, driven as people do: a phone and a laptop in headless Chromium, talking to each other.
// Screenshots go to target/artifacts/.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test as run } from "node:test";
import { io } from "socket.io-client";
import { artifacts, launch } from "./browser.mjs";
import { Server, collect, next } from "./support.mjs";

describe("the chat in a browser", { timeout: 240_000 }, () => {
  let server, browser, phone, laptop;
  const troubles = [];

  // Each test goes on where the one before ended; after a failure the others would only fail for its sake.
  let failed = false;
  const test = (title, steps) =>
    run(title, async (t) => {
      if (failed) return t.skip("an earlier step failed");
      try {
        await steps();
      } catch (error) {
        failed = true;
        for (const [name, page] of Object.entries({ phone, laptop })) {
          await page?.screenshot({ path: join(artifacts, `chat-failed-${name}.png`) }).catch(() => {});
        }
        throw error;
      }
    });

  const open = async (name, options) => {
    const context = await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Paris", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => troubles.push(`${name}: ${error.stack}`));
    page.on("console", (message) => {
      // While the server is away the browser itself reports failing requests.
      if (message.type() === "error" && !/net::ERR_|WebSocket connection|Failed to load resource/.test(message.text())) {
        troubles.push(`${name}: ${message.text()}`);
      }
    });
    page.on("dialog", (dialog) => {
      troubles.push(`${name}: a script from a message ran`);
      dialog.dismiss();
    });
    await page.goto(server.url);
    return page;
  };

  /** In both colour schemes, once everything stands still. */
  const shoot = async (page, name) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(350);
      await page.screenshot({ path: join(artifacts, `chat-${name}-${colorScheme}.png`) });
    }
  };

  const say = async (page, text) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
  };
  const bubbles = (page, text) => page.locator(".msg", { hasText: text });
  const seen = (page, text) => bubbles(page, text).first().waitFor();
  const delivered = (page, text) => page.locator(".msg.mine[data-state=delivered]", { hasText: text }).waitFor();
  const state = (page, name) => page.locator(`#badge[data-state=${name}]`).waitFor();
  const once = async (page, text) => assert.equal(await bubbles(page, text).count(), 1, `"${text}" is there once`);
  const post = (room, body) =>
    fetch(`${server.url}/rooms/${encodeURIComponent(room)}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const nickname = async (page, name) => {
    await page.getByLabel("Nickname", { exact: true }).fill(name);
    await page.keyboard.press("Enter");
  };

  before(async () => {
    server = await Server.start(process.env.CHAT_CMD || "node tests/clients/node/chat-twin.mjs");
    browser = await launch();
    laptop = await open("laptop", { viewport: { width: 1280, height: 800 } });
    phone = await open("phone", { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
  });

  test("asks for a nickname, and says why one will not do", async () => {
    const problem = phone.locator("#nick-error");
    await nickname(phone, "  ");
    assert.match(await problem.textContent(), /choose/);
    await nickname(phone, "x".repeat(25));
    assert.match(await problem.textContent(), /too long/);
    await nickname(phone, "Ada Lovelace");
    await state(phone, "online");

    await nickname(laptop, "ada lovelace");
    await laptop.locator("#nick-error", { hasText: "taken" }).waitFor();
    await shoot(laptop, "laptop-nickname");
    await nickname(laptop, "Grace");
    await state(laptop, "online");
  });

  test("the connection becomes a WebSocket", async () => {
    for (const page of [phone, laptop]) await page.locator("#badge", { hasText: "WebSocket" }).waitFor();
  });

  test("shows who is online", async () => {
    await laptop.locator("#people", { hasText: "Ada Lovelace" }).waitFor();
    await phone.locator("#people-count", { hasText: "2" }).waitFor();
    await shoot(laptop, "laptop-empty");
    await phone.locator("#open-people").click();
    await phone.getByRole("complementary", { name: "Who is online" }).getByText("Grace").click({ trial: true });
    await shoot(phone, "phone-people");
    await phone.keyboard.press("Escape");
  });

  test("messages go both ways, in order, and are acknowledged", async () => {
    await say(laptop, "Good morning! Did the engine run overnight?");
    await delivered(laptop, "Good morning");
    await seen(phone, "Good morning");
    await say(phone, "It did. All the Bernoulli numbers, and not one card jammed.");
    await say(phone, "Here is the listing: https://example.org/note-g");
    await delivered(phone, "note-g");
    await seen(laptop, "note-g");
    await say(laptop, "🎉");
    await say(laptop, "Wonderful.\nI found a moth in mine, so I taped it into the logbook.");
    await seen(phone, "moth");
    const order = await phone.locator(".msg .text").allTextContents();
    assert.deepEqual(order.map((text) => text.slice(0, 4)), ["Good", "It d", "Here", "🎉", "Wond"]);
    assert.equal(await laptop.locator(".msg a").getAttribute("href"), "https://example.org/note-g");
  });

  test("what others write is text, never markup", async () => {
    const attack = `<img src=x onerror="alert('pwned')"><b>bold</b><script>alert(1)</script>`;
    await say(phone, attack);
    await seen(laptop, attack);
    assert.equal(await laptop.locator("#messages img, #messages b, #messages script").count(), 0);
    await say(phone, "javascript:alert(1)");
    await seen(laptop, "javascript:alert(1)");
    assert.equal(await laptop.locator(".msg a").count(), 1);
  });

  test("shows who is typing, and when it is over", async () => {
    await phone.getByLabel("Message", { exact: true }).pressSequentially("I think", { delay: 20 });
    await laptop.getByText("Ada Lovelace is typing…").waitFor();
    await shoot(laptop, "laptop-typing");
    await phone.getByLabel("Message", { exact: true }).fill("");
    await laptop.getByText("Ada Lovelace is typing…").waitFor({ state: "hidden" });
  });

  test("a message posted over HTTP appears in both", async () => {
    const answer = await post("lobby", { from: "Deploy bot", text: "Version 1.4.2 is live." });
    assert.equal(answer.status, 202);
    const { id, at } = await answer.json();
    assert.equal(typeof id, "string");
    assert.ok(Math.abs(at - Date.now()) < 60_000);
    for (const page of [phone, laptop]) {
      await seen(page, "Version 1.4.2");
      await bubbles(page, "Version 1.4.2").getByText("HTTP", { exact: true }).waitFor();
      await once(page, "Version 1.4.2");
    }
    for (const body of [{ from: "x", text: " " }, { from: "", text: "x" }, { text: "x" }, { from: "x", text: "x".repeat(2001) }]) {
      const { status } = await post("lobby", body);
      assert.ok(status >= 400 && status < 500, `${JSON.stringify(body).slice(0, 60)}: ${status}`);
    }
    await shoot(laptop, "laptop-talk");
    await shoot(phone, "phone-talk");
  });

  test("rooms: created, listed, joined, unread, left", async () => {
    await laptop.getByLabel("Name of a room to create or join").fill("release party");
    await laptop.keyboard.press("Enter");
    await laptop.getByRole("heading", { name: "release party" }).waitFor();
    await say(laptop, "Cake at four, in the kitchen.");
    await delivered(laptop, "Cake at four");

    // The row of the room is as wide as what stands below it.
    const right = (selector) => laptop.locator(selector).evaluate((node) => node.getBoundingClientRect().right);
    assert.equal(await right("#joined [aria-current=true]"), await right("#join-form button"));
    assert.equal(await right("#joined li:first-child .go"), await right("#join-form button"));
    await laptop.mouse.move(600, 400);
    await shoot(laptop, "laptop-two-rooms");
    await laptop.locator("#joined li", { hasText: "release party" }).hover();
    await shoot(laptop, "laptop-two-rooms-hover");

    await phone.locator("#open-rooms").click();
    await phone.locator("#others").getByText("release party").click();
    await seen(phone, "Cake at four");
    await say(phone, "I will bring the punch cards.");
    await seen(laptop, "punch cards");
    assert.equal(await bubbles(laptop, "Good morning").count(), 0, "the other room's messages are not here");

    await post("lobby", { from: "Deploy bot", text: "Backups are done." });
    await phone.locator("#elsewhere").waitFor();
    await phone.locator("#open-rooms").click();
    await phone.locator("#joined .pill", { hasText: "1" }).waitFor();
    await shoot(phone, "phone-rooms");
    await phone.locator("#joined").getByText("lobby", { exact: true }).click();
    await seen(phone, "Backups are done.");
    await once(phone, "Backups are done.");

    await laptop.getByRole("button", { name: "Leave release party" }).click({ force: true });
    await seen(laptop, "Backups are done.");
    const rooms = await (await fetch(`${server.url}/rooms`)).json();
    assert.deepEqual(rooms, [{ name: "lobby", online: 2 }, { name: "release party", online: 1 }]);
  });

  test("history after a reload, without asking for the nickname again", async () => {
    await laptop.reload();
    await seen(laptop, "Good morning");
    await state(laptop, "online");
    const texts = await laptop.locator(".msg .text").allTextContents();
    assert.equal(texts[0], "Good morning! Did the engine run overnight?");
    assert.equal(texts.at(-1), "Backups are done.");
    assert.ok(await bubbles(laptop, "moth").evaluate((node) => node.classList.contains("mine")));
  });

  test("a second tab of the same browser may use the same nickname", async () => {
    const tab = await laptop.context().newPage();
    await tab.goto(server.url);
    await tab.locator("#badge[data-state=online]").waitFor();
    await seen(tab, "Good morning");
    assert.equal(await tab.locator("#people li").count(), 2);
    await say(tab, "From my other tab.");
    await seen(phone, "From my other tab.");
    await seen(laptop, "From my other tab.");
    await tab.close();
  });

  test("a message that the server refuses can be discarded", async () => {
    await laptop.locator("#text").evaluate((text) => text.removeAttribute("maxlength"));
    await say(laptop, "far too long ".repeat(200));
    await laptop.locator(".msg[data-state=failed]").waitFor();
    await laptop.getByRole("button", { name: "Discard" }).click();
    assert.equal(await bubbles(laptop, "far too long").count(), 0);
  });

  test("a message without an answer fails, and sending it again does not double it", async () => {
    server.pause();
    await say(laptop, "Is anybody there?");
    await laptop.locator(".msg[data-state=sending]", { hasText: "Is anybody there?" }).waitFor();
    await laptop.locator(".msg[data-state=failed]", { hasText: "Is anybody there?" }).waitFor();
    await shoot(laptop, "laptop-failed");
    server.resume();
    await seen(phone, "Is anybody there?");
    await laptop.getByRole("button", { name: "Retry" }).click();
    await delivered(laptop, "Is anybody there?");
    await say(laptop, "There you are.");
    await seen(phone, "There you are.");
    for (const page of [laptop, phone]) await once(page, "Is anybody there?");
  });

  test("the server goes away and comes back: nothing is lost on the page", async () => {
    await phone.getByLabel("Message", { exact: true }).fill("a draft that must");
    await server.kill();
    for (const page of [phone, laptop]) await state(page, "reconnecting");
    await phone.getByText("Connection lost.").waitFor();
    for (const count of ["#joined .here", "#people-total"]) {
      const opacity = await laptop.locator(count).first().evaluate((node) => getComputedStyle(node).opacity);
      assert.ok(Number(opacity) < 0.6, `${count} is dimmed while the connection is lost`);
    }
    await say(laptop, "Written while the server was away.");
    await laptop.locator(".msg[data-state=waiting]", { hasText: "while the server was away" }).waitFor();
    await phone.getByLabel("Message", { exact: true }).pressSequentially(" survive");
    await phone.locator("#jump").waitFor({ state: "hidden" });
    await shoot(phone, "phone-reconnecting");
    await shoot(laptop, "laptop-reconnecting");

    await server.start();
    for (const page of [phone, laptop]) await state(page, "online");
    await delivered(laptop, "while the server was away");
    await seen(phone, "while the server was away");
    assert.equal(await phone.getByLabel("Message", { exact: true }).inputValue(), "a draft that must survive");
    for (const page of [phone, laptop]) {
      await seen(page, "Good morning");
      await once(page, "while the server was away");
    }
    await laptop.locator("#people", { hasText: "Ada Lovelace" }).waitFor();

    await phone.keyboard.press("Enter");
    await seen(laptop, "a draft that must survive");
    await once(laptop, "a draft that must survive");
    await phone.reload();
    await seen(phone, "while the server was away");
  });

  test("a restart is announced, and nobody seems to leave one by one", async () => {
    // Enough that the server closes them one after another, while others still watch.
    const guests = [];
    for (let i = 0; i < 20; i++) {
      const guest = io(server.url, { auth: { nick: `Guest ${i}` }, forceNew: true, reconnection: false, transports: ["websocket"] });
      guests.push(guest);
      await next(guest, "connect");
      await guest.emitWithAck("join", "lobby");
    }
    await laptop.locator("#people-total", { hasText: "22" }).waitFor();
    const seenByGuests = guests.map((guest) => collect(guest, "presence"));
    await laptop.evaluate(() => {
      window.fewest = Infinity;
      new MutationObserver(() => (window.fewest = Math.min(window.fewest, Number(document.querySelector("#people-total").textContent)))).observe(document.querySelector("#people"), { childList: true });
    });
    await server.stop();
    for (const page of [phone, laptop]) {
      await page.getByText("The server is restarting.").waitFor();
      await state(page, "reconnecting");
    }
    assert.ok((await laptop.evaluate(() => window.fewest)) >= 22, "the list of people stays");
    assert.deepEqual(seenByGuests.flat(), []);
    await shoot(phone, "phone-restarting");
    await shoot(laptop, "laptop-restarting");
    guests.forEach((guest) => guest.close());
    await server.start();
    for (const page of [phone, laptop]) await state(page, "online");
    await laptop.locator("#people-total", { hasText: /^2$/ }).waitFor();
  });

  test("a change is sent, not the list", async () => {
    const join = async (nick, room) => {
      const guest = io(server.url, { auth: { nick }, forceNew: true, transports: ["websocket"] });
      const got = { list: next(guest, "rooms"), presence: collect(guest, "presence"), room: collect(guest, "room") };
      await next(guest, "connect");
      return { guest, ...got, answer: await guest.emitWithAck("join", room) };
    };
    const ann = await join("ann", "quiet corner");
    assert.deepEqual(ann.answer.online, ["ann"]);
    const Bob = await join("Bob", "quiet corner");
    assert.deepEqual(Bob.answer.online, ["ann", "Bob"]);
    const elsewhere = await join("carl", "another corner");
    assert.deepEqual((await ann.presence.until(1))[0], { room: "quiet corner", joined: "Bob" });
    assert.deepEqual((await ann.room.until(1))[0], { name: "another corner", online: 1 });

    Bob.guest.close();
    assert.deepEqual((await ann.presence.until(2))[1], { room: "quiet corner", left: "Bob" });
    assert.deepEqual((await elsewhere.room.until(1))[0], { name: "quiet corner", online: 1 });
    ann.guest.close();
    assert.deepEqual((await elsewhere.room.until(2))[1], { name: "quiet corner", online: 0, gone: true });
    elsewhere.guest.close();
    await laptop.locator("#others", { hasText: "corner" }).waitFor({ state: "hidden" });
  });

  test("long names and text from right to left", async () => {
    const name = "Wolfeschlegelsteinhausen"; // 24 characters
    const guests = [];
    for (const nick of [name, "نجيب محفوظ"]) {
      const guest = io(server.url, { auth: { nick }, forceNew: true, transports: ["websocket"] });
      guests.push(guest);
      await next(guest, "connect");
      await guest.emitWithAck("join", "lobby");
    }
    const room = "الغرفة الهادئة للقراءة والكتابة";
    await guests[1].emitWithAck("join", room);
    await guests[1].emitWithAck("message", { room: "lobby", text: "مرحبا بالجميع! هل قرأتم Engine.IO v4؟" });
    await guests[0].emitWithAck("message", { room: "lobby", text: `A word without an end: ${"Donaudampfschifffahrt".repeat(6)}` });
    for (const page of [phone, laptop]) await seen(page, "A word without an end");
    const text = bubbles(laptop, "مرحبا").locator(".text");
    assert.equal(await text.evaluate((node) => getComputedStyle(node).direction), "rtl");
    await say(laptop, "שלום לכולם, מה שלומכם?");
    await delivered(laptop, "שלום");
    await laptop.locator("#others").getByText(room).click();
    await laptop.getByRole("heading", { name: room }).waitFor();
    await shoot(laptop, "laptop-long-room");
    await laptop.locator("#joined").getByText("lobby", { exact: true }).click();
    await shoot(laptop, "laptop-names");
    await shoot(phone, "phone-names");
    for (const page of [phone, laptop]) {
      const { wide, width } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, width: innerWidth }));
      assert.ok(wide <= width, "nothing sticks out");
    }
    await laptop.locator("#joined li", { hasText: room }).locator(".out").click({ force: true });
    guests.forEach((guest) => guest.close());
  });

  test("who reads further up is left there, and told what is new", async () => {
    for (let i = 1; i <= 25; i++) await post("lobby", { from: "Deploy bot", text: `Build ${i} passed.` });
    await seen(phone, "Build 25 passed.");
    await phone.locator("#scroll").evaluate((scroll) => (scroll.scrollTop = 0));
    await phone.locator("#jump", { hasText: "Latest" }).waitFor();
    await say(laptop, "Did you see the builds?");
    await phone.locator("#jump", { hasText: "1 new" }).click();
    await phone.locator("#jump").waitFor({ state: "hidden" });
    assert.ok(await bubbles(phone, "Did you see the builds?").isVisible());
  });

  test("changing the nickname", async () => {
    await laptop.getByRole("button", { name: "Change your nickname" }).click();
    await nickname(laptop, "Grace Hopper");
    await phone.locator("#people", { hasText: "Grace Hopper" }).waitFor({ state: "attached" });
    await laptop.locator("#my-nick", { hasText: "Grace Hopper" }).waitFor();
    await say(laptop, "New name, same moth.");
    await seen(phone, "same moth");
  });

  test("nothing went wrong in the pages", () => {
    assert.deepEqual(troubles, []);
  });
});
